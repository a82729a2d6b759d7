module github.com/sioplug/sioplug/integrations/echov5

go 1.26.0

require (
	github.com/labstack/echo/v5 v5.4.5
	github.com/sioplug/sioplug v0.0.0
	go.uber.org/goleak v1.3.0
)

require (
	github.com/go-json-experiment/json v0.0.0-20260820222146-c27c302e5fc3 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/pool v0.2.1 // indirect
	github.com/gobwas/ws v1.4.0 // indirect
	github.com/klauspost/compress v1.17.9 // indirect
	golang.org/x/time v0.15.0 // indirect
)

replace github.com/sioplug/sioplug => ../..
