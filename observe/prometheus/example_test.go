package sioprometheus_test

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	sio "github.com/sioplug/sioplug/core"
	sioprometheus "github.com/sioplug/sioplug/observe/prometheus"
)

// The metrics of a server, in the form that Prometheus reads.
func Example() {
	metrics := sioprometheus.New(nil)
	registry := prometheus.NewRegistry() // or prometheus.MustRegister, for the default one
	registry.MustRegister(metrics)
	srv := sio.New(&sio.Options{Observers: []*sio.Observer{metrics.Observer()}})
	srv.Of("/chat")

	err := testutil.GatherAndCompare(registry, strings.NewReader(`
		# HELP sioplug_namespaces Namespaces that the server has.
		# TYPE sioplug_namespaces gauge
		sioplug_namespaces 2
	`), "sioplug_namespaces")
	fmt.Println(err)
	// Output: <nil>
}
