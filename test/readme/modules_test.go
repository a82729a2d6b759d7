package readme_test

import (
	// Documents use these, and nothing else in this module.
	_ "github.com/googollee/go-socket.io"
	_ "github.com/jackc/pgx/v5"
	_ "github.com/redis/go-redis/v9"
	_ "github.com/zishang520/socket.io/servers/socket/v3"
	_ "go.opentelemetry.io/otel/exporters/stdout/stdouttrace"

	_ "github.com/sioplug/sioplug/adapters/nats"
	_ "github.com/sioplug/sioplug/adapters/postgres"
	_ "github.com/sioplug/sioplug/adapters/redis"
	_ "github.com/sioplug/sioplug/middleware/ratelimit/redislimit"
	_ "github.com/sioplug/sioplug/observe/otel"
)
