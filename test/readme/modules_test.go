package readme_test

import (
	_ "github.com/redis/go-redis/v9" // documents use it, and nothing else in this module

	_ "github.com/sioplug/sioplug/middleware/ratelimit/redislimit"
)
