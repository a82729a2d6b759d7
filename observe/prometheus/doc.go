// Package sioprometheus exports metrics of a Socket.IO server to Prometheus.
//
//	metrics := sioprometheus.New(nil)
//	prometheus.MustRegister(metrics)
//	srv := sio.New(&sio.Options{Observers: []*sio.Observer{metrics.Observer()}})
//	http.Handle("/metrics", promhttp.Handler())
//
// docs/metrics.md has the table of metrics. The files dashboard.json and alerts.yml are a
// dashboard for Grafana and rules for Prometheus.
//
// # Labels
//
// Clients cannot make up values of labels. Only events with a handler have a label of
// their own, others count as "other". A namespace that a client brings about counts under
// the name of its parent: "/_0" for the first one of [sio.Server.OfFunc] or
// [sio.Server.OfRegexp], and so on. Beyond the limits of [Options], the label is "other".
package sioprometheus
