// Command siocat connects to a Socket.IO server, prints the events that it gets, and emits
// the events that it reads.
//
//	siocat [flags] URL
//
// The path of the URL is the namespace. Each line of the standard input is an event: its
// name, and arguments in JSON. With a question mark in front, siocat prints the
// acknowledgement.
//
//	news "hello" {"a": 1}
//	?sum 1 2
//
// siocat ends with its input, when nothing is awaited any more. With -listen, it goes on
// until it is interrupted. Colours are used on a terminal only.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	sioclient "github.com/sioplug/sioplug/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := &printer{w: os.Stdout, colours: isTerminal(os.Stdout) && os.Getenv("NO_COLOR") == ""}
	if err := run(ctx, os.Args[1:], os.Stdin, p, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "siocat:", printable(err.Error()))
		os.Exit(1) //nolint:gocritic // the signal does not matter any more
	}
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// A config is what the flags say.
type config struct {
	url     string
	opts    sioclient.Options
	listen  bool
	timeout time.Duration
}

var (
	errUsage  = errors.New("say which URL to connect to: siocat [flags] URL")
	errHeader = errors.New("a header has the form name:value")
)

func parse(args []string, p *printer, stderr io.Writer) (*config, error) {
	c := &config{opts: sioclient.Options{ExtraHeaders: http.Header{}, Logger: slog.New(slog.DiscardHandler)}}
	f := flag.NewFlagSet("siocat", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.BoolVar(&p.json, "json", false, "print each event as a line of JSON")
	f.BoolVar(&c.listen, "listen", false, "go on when the input has ended")
	f.DurationVar(&c.timeout, "timeout", 20*time.Second, "how long to wait for the connection, and for acknowledgements")
	f.StringVar(&c.opts.Path, "path", "", "path of the HTTP requests (default /socket.io)")
	f.Func("auth", "auth payload, a JSON object", func(v string) error { return json.Unmarshal([]byte(v), &c.opts.Auth) })
	f.Func("transports", "transports in order, such as polling,websocket (default websocket)", func(v string) error {
		c.opts.Transports = strings.Split(v, ",")
		return nil
	})
	f.Func("header", "header of all requests, name:value; may be repeated", func(v string) error {
		name, value, ok := strings.Cut(v, ":")
		if !ok {
			return errHeader
		}
		c.opts.ExtraHeaders.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		return nil
	})
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() != 1 {
		return nil, errUsage
	}
	c.url = f.Arg(0)
	return c, nil
}

func run(ctx context.Context, args []string, in io.Reader, p *printer, stderr io.Writer) error {
	c, err := parse(args, p, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := sioclient.New(c.url, &c.opts)
	if err != nil {
		return err
	}
	s.OnUnknown(p.event)
	ended := make(chan struct{}) // when the last event has been printed
	s.OnDisconnect(func(_ *sioclient.Socket, r sioclient.Reason) {
		if r == sioclient.ReasonClientDisconnect {
			close(ended)
		} else {
			p.print("disconnect", "", string(r))
		}
	})
	connecting, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := s.Connect(connecting); err != nil {
		s.Disconnect()
		return err
	}
	p.print("connect", "", s.ID())
	err = emitAll(ctx, s, in, p, c.timeout)
	if err == nil && c.listen {
		<-ctx.Done()
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
	defer cancel()
	connected := s.Connected()
	err = errors.Join(err, s.Manager().Shutdown(ending))
	if connected {
		select {
		case <-ended:
		case <-ending.Done():
		}
	}
	return err
}
