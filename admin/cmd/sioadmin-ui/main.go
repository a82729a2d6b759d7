// Command sioadmin-ui puts the files of the Admin UI of Socket.IO into a folder, for
// sioadmin.Admin.UI to serve:
//
//	go run github.com/sioplug/sioplug/admin/cmd/sioadmin-ui adminui
//
// It gets them by npm, from the registry that npm is configured for. With -from it takes
// them from a folder with npm's packages:
//
//	npm install @socket.io/admin-ui@0.5.1 @mdi/font@7.4.47
//	go run github.com/sioplug/sioplug/admin/cmd/sioadmin-ui -from node_modules adminui
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "sioadmin-ui:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("sioadmin-ui", flag.ContinueOnError)
	flags.SetOutput(out)
	from := flags.String("from", "", "`folder` with the packages, such as node_modules; without it npm gets them")
	flags.Usage = func() {
		_, _ = fmt.Fprintln(out, "usage: sioadmin-ui [-from node_modules] folder") // nowhere else to complain
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return errUsage
	}
	folder := flags.Arg(0)
	files, err := collect(ctx, *from)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := write(filepath.Join(folder, filepath.FromSlash(name)), content); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "The Admin UI is in %s: %d files. Serve them by Admin.UI.\n", folder, len(files))
	return err
}

func write(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // they are public
		return err
	}
	return os.WriteFile(name, content, 0o644) //nolint:gosec // they are public
}
