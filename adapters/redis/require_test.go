package redisadapter

import (
	_ "github.com/redis/go-redis/v9"
	_ "go.uber.org/goleak"

	_ "github.com/sioplug/sioplug/adapters/cluster"
)
