package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Names of the peers: other Socket.IO servers, which are measured with -peers alone.
const (
	oxide     = "socketioxide"
	zishang   = "zishang520"
	oxideIs   = "0.18.9" // as in bench/peers/socketioxide/Cargo.toml
	zishangIs = "3.0.6"  // as in bench/peers/zishang520/go.mod
)

// A peer is how a server of another project is built.
type peer struct {
	build []string
	tool  string // that builds it
	hint  string // where the tool comes from
}

// peers are in folders of their own, since they are in another language, or need modules
// that the benchmark does not.
func peers(bin, root string) []server {
	rust, golang := root+"/bench/peers/"+oxide, root+"/bench/peers/"+zishang
	return []server{
		{
			name: oxide, title: "socketioxide, Rust", command: []string{rust + "/target/release/socketioxide-bench"},
			peer: &peer{
				build: []string{"cargo", "build", "--quiet", "--release", "--manifest-path", rust + "/Cargo.toml", "--target-dir", rust + "/target"},
				tool:  "cargo", hint: "it comes with Rust, https://rustup.rs",
			},
		},
		{
			name: zishang, title: "zishang520, Go", command: []string{bin + "/" + zishang, "-port"},
			peer: &peer{build: []string{"go", "build", "-C", golang, "-o", bin + "/" + zishang, "."}, tool: "go"},
		},
	}
}

// buildPeers builds those of the servers that are peers, or none if a tool is missing.
func buildPeers(ctx context.Context, among []server) error {
	among = slices.DeleteFunc(slices.Clone(among), func(s server) bool { return s.peer == nil })
	for _, srv := range among {
		if _, err := exec.LookPath(srv.peer.tool); err != nil {
			return fmt.Errorf("%s is not installed, which builds %s: %s; -servers can leave %[2]s out", srv.peer.tool, srv.name, srv.peer.hint)
		}
	}
	for _, srv := range among {
		fmt.Fprintln(os.Stderr, "building", srv.name)
		cmd := exec.CommandContext(ctx, srv.peer.build[0], srv.peer.build[1:]...) //nolint:gosec // a constant, and folders of ours
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("building %s: %w", srv.name, err)
		}
	}
	return nil
}

var errPeers = errors.New("-peers compares: it goes neither with -growth nor with -cluster")

// Peers has the names and versions of the peers if any was measured, or is empty.
func (s *session) Peers() string {
	if !slices.ContainsFunc(s.Results, func(r result) bool { return r.Server == oxide || r.Server == zishang }) {
		return ""
	}
	return "socketioxide " + oxideIs + " on axum, and zishang520/socket.io " + zishangIs + " on net/http"
}

// flaws tells what a server did wrong in a scenario, or is empty.
func (s *session) flaws(sc scenario, server string) string {
	failed, rounds := 0, 0
	var flaws, of, unanswered, clients float64
	for _, r := range s.Results {
		if r.Scenario != sc.name || r.Server != server {
			continue
		}
		rounds++
		if r.Error != "" {
			failed++
		}
		flaws += r.Values["flaws"]
		of += r.Values["flaws_of"]
		unanswered += r.Values["unanswered"]
		clients += r.Values["clients"]
	}
	var texts []string
	if failed > 0 {
		texts = append(texts, fmt.Sprintf("failed in %d of %d rounds", failed, rounds))
	}
	if flaws > 0 {
		texts = append(texts, fmt.Sprintf("%s of %s %s", count(flaws), count(of), sc.flaw))
	}
	if unanswered > 0 {
		texts = append(texts, fmt.Sprintf("%s of %s clients left without an answer", count(unanswered), count(clients)))
	}
	return strings.Join(texts, ", ")
}

// inParentheses is a remark behind a name, or nothing.
func inParentheses(remark string) string {
	if remark == "" {
		return ""
	}
	return " (" + remark + ")"
}

// rustVersion returns "absent" if there is none.
func rustVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "cargo", "--version").Output()
	if words := strings.Fields(string(out)); err == nil && len(words) > 1 {
		return words[1]
	}
	return "absent"
}
