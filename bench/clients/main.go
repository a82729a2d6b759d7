// Command clients compares this project's client for Go with that of zishang520: many
// clients in one process, which connect, are idle, and send echoes. The server is this
// project's, in a process of its own.
//
//	go run . -n 1000 -echoes 100 -rounds 3
//
// Each measurement has a process of its own, and the two clients take turns. The result is
// the median of the rounds, as a table in Markdown.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	sio "github.com/sioplug/sioplug/core"
)

// kinds are the clients, in the order of the table.
var kinds = []string{"sioplug", "zishang520"} //nolint:gochecknoglobals // constant

// transports are the ways to connect, in the order of the table.
var transports = []string{"websocket", "polling"} //nolint:gochecknoglobals // constant

func main() {
	serves := flag.Bool("serve", false, "be the server")
	kind := flag.String("kind", "", "measure this client, and print the result as JSON")
	url := flag.String("url", "", "the URL of the server, with -kind")
	transport := flag.String("transport", "websocket", "how to connect, with -kind")
	n := flag.Int("n", 1000, "number of clients")
	echoes := flag.Int("echoes", 100, "echoes of each client")
	rounds := flag.Int("rounds", 3, "measurements of each client")
	flag.Parse()
	var err error
	switch {
	case *serves:
		err = serve()
	case *kind != "":
		err = measureHere(*kind, *url, *transport, *n, *echoes)
	default:
		err = compare(*n, *echoes, *rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

// serve is the server's process. It prints its URL, and ends with its input.
func serve() error {
	srv := sio.New(&sio.Options{Logger: slog.New(slog.DiscardHandler)})
	srv.On("echo", sio.Reply(func(_ *sio.Ctx, s string) (string, error) { return s, nil }))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	hs := &http.Server{Handler: srv, ReadHeaderTimeout: time.Minute}
	go func() { _ = hs.Serve(l) }() // ends with the process
	fmt.Fprintf(os.Stdout, "http://%s\n", l.Addr())
	_, _ = os.Stdin.Read(make([]byte, 1))
	return nil
}

// A result is that of one measurement.
type result struct {
	Heap       float64 // bytes of heap and stacks for each idle client
	RSS        float64 // bytes of the process for each idle client
	Goroutines float64 // for each idle client
	ConnectCPU float64 // microseconds for each client
	EchoCPU    float64 // microseconds for each echo
	EchoWall   float64 // seconds for all echoes
}

// compare measures both clients in turn.
func compare(n, echoes, rounds int) error {
	results := make(map[string][]result)
	for round := range rounds {
		for _, transport := range transports {
			order := slices.Clone(kinds)
			if round%2 == 1 {
				slices.Reverse(order)
			}
			for _, kind := range order {
				r, err := measure(kind, transport, n, echoes)
				if err != nil {
					return fmt.Errorf("%s over %s: %w", kind, transport, err)
				}
				results[transport+kind] = append(results[transport+kind], r)
				fmt.Fprintf(os.Stderr, "round %d, %s, %s: %+v\n", round+1, transport, kind, r)
			}
		}
	}
	printTable(results)
	return nil
}

func printTable(results map[string][]result) {
	fmt.Fprintf(os.Stdout, "| transport | client | memory, kB | process (RSS), kB | goroutines | CPU to connect, µs | CPU per echo, µs | all echoes, s |\n")
	fmt.Fprintf(os.Stdout, "|---|---|---|---|---|---|---|---|\n")
	for _, transport := range transports {
		for _, kind := range kinds {
			all := results[transport+kind]
			echo := func(format string, of func(r result) float64) string {
				if all[0].EchoWall == 0 {
					return "–"
				}
				return fmt.Sprintf(format, median(all, of))
			}
			fmt.Fprintf(os.Stdout, "| %s | %s | %.1f | %.1f | %.1f | %.0f | %s | %s |\n", transport, kind,
				median(all, func(r result) float64 { return r.Heap / 1000 }),
				median(all, func(r result) float64 { return r.RSS / 1000 }),
				median(all, func(r result) float64 { return r.Goroutines }),
				median(all, func(r result) float64 { return r.ConnectCPU }),
				echo("%.1f", func(r result) float64 { return r.EchoCPU }),
				echo("%.2f", func(r result) float64 { return r.EchoWall }))
		}
	}
	fmt.Fprintf(os.Stdout, "\n%s, %d processors, %s\n", processor(), runtime.NumCPU(), runtime.Version())
}

func median(all []result, of func(r result) float64) float64 {
	values := make([]float64, len(all))
	for i, r := range all {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// processor returns the name of the processor.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}

var errNoURL = errors.New("the server has not started")

// measure runs a server and the process of a measurement.
func measure(kind, transport string, n, echoes int) (r result, err error) {
	server := exec.Command(os.Args[0], "-serve") //nolint:gosec // this program
	in, err := server.StdinPipe()
	if err != nil {
		return r, err
	}
	out, err := server.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := server.Start(); err != nil {
		return r, err
	}
	defer func() {
		_ = in.Close()
		_ = server.Wait()
	}()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return r, errors.Join(errNoURL, err)
	}
	client := exec.Command(os.Args[0], "-kind", kind, "-transport", transport, "-url", strings.TrimSpace(url), //nolint:gosec // likewise
		"-n", strconv.Itoa(n), "-echoes", strconv.Itoa(echoes))
	client.Stderr = os.Stderr
	var answer bytes.Buffer
	client.Stdout = &answer
	if err := client.Run(); err != nil {
		return r, err
	}
	return r, json.Unmarshal(answer.Bytes(), &r)
}
