package sio

import (
	"errors"
	"log/slog"
	"time"

	"github.com/sioplug/sioplug/core/adapter"
	"github.com/sioplug/sioplug/internal/rescue"
	"github.com/sioplug/sioplug/internal/serial"
)

// Cluster says how the connection of this server with its cluster is, and which other
// servers there are. It does not wait for the network, so it can be called in readiness
// probes:
//
//	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
//		if status := srv.Cluster(); !status.Healthy {
//			http.Error(w, status.Err.Error(), http.StatusServiceUnavailable)
//		}
//	})
//
// While a broker is unavailable, the clients of this server are still served. So decide
// whether they should go to another server then, which may have the same problem.
//
// Without [Options.Adapter], or if the adapter is no [adapter.Reporter], the status is
// healthy and has no members. When [Server.Shutdown] has begun, it is not healthy, and
// Err is [adapter.ErrClosed].
func (s *Server) Cluster() adapter.Status {
	if s.sockets.Closed() {
		return adapter.Status{Err: adapter.ErrClosed}
	}
	status := adapter.Status{Healthy: true, Since: s.started}
	r := s.reporter()
	if r == nil {
		return status
	}
	err := rescue.Apart(func() error {
		status = r.Status()
		return nil
	})
	switch {
	case err != nil:
		return adapter.Status{Err: err}
	case !status.Healthy && status.Err == nil: // so that nobody needs to ask
		status.Err = errUnhealthy
	}
	return status
}

var errUnhealthy = errors.New("sio: the adapter is not healthy and does not say why")

// reporter returns the adapter that knows the status of the cluster, nil if there is none.
func (s *Server) reporter() adapter.Reporter {
	if s.joined.Load() {
		if r, ok := s.adapter.(adapter.Reporter); ok {
			return r
		}
	}
	r, _ := s.opts.Adapter.(adapter.Reporter)
	return r
}

// watchCluster makes the adapter tell of errors.
func (s *Server) watchCluster() error {
	s.started = time.Now()
	n, ok := s.opts.Adapter.(adapter.ErrorNotifier)
	if !ok {
		return nil
	}
	return rescue.Apart(func() error {
		n.NotifyErrors(s.clusterFailed)
		return nil
	})
}

// clusterErrorLimits are how many errors of the cluster wait for OnClusterError.
func clusterErrorLimits() serial.Limits { return serial.Limits{Tasks: 100, Bytes: 1 << 20} }

// clusterFailed is called by the adapter with an error, or with nil when all is well
// again.
func (s *Server) clusterFailed(err error) {
	switch idle, full := s.clusterErrors.Offer(clusterErrorTask{s, err}, clusterErrorLimits()); {
	case full != nil && s.droppedClusterErrors.Add(1) == 1:
		s.log().Error("errors of the cluster are dropped: OnClusterError is too slow")
	case full == nil && idle:
		go s.runClusterErrors() // ends with the errors
	}
}

func (s *Server) runClusterErrors() {
	s.clusterErrors.Run()
	if dropped := s.droppedClusterErrors.Swap(0); dropped > 0 {
		s.log().Error("errors of the cluster were dropped, because OnClusterError was too slow", slog.Int64("dropped", dropped))
	}
}

// A clusterErrorTask calls OnClusterError.
type clusterErrorTask struct {
	server *Server
	err    error
}

// Size implements [serial.Task].
func (clusterErrorTask) Size() int { return taskOverhead }

// Run implements [serial.Task].
func (t clusterErrorTask) Run() error {
	observeApart(t.server, "ClusterError", t.server.observers.Load().clusterError, t.err)
	if f := t.server.opts.OnClusterError; f != nil {
		return rescue.Apart(func() error {
			f(t.err)
			return nil
		})
	}
	failed := t.server.clusterHasFailed.Swap(t.err != nil)
	switch {
	case t.err != nil:
		t.server.log().Error("the cluster reports an error", errAttr(t.err))
	case failed: // otherwise the adapter has connected for the first time
		t.server.log().Info("the cluster is healthy again")
	}
	return nil
}

// Done implements [serial.Task].
func (t clusterErrorTask) Done(err error) {
	if err != nil {
		attrs := []any{slog.Any("about", t.err)}
		for _, a := range errAttrs(err) {
			attrs = append(attrs, a)
		}
		t.server.log().Error("OnClusterError failed", attrs...)
	}
}
