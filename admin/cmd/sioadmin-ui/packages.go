package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// A source is a package of npm, and the files of it that are needed.
type source struct {
	name, version string
	integrity     string // of the archive, as npm has it
	rename        func(name string) string
}

// sources are the UI, and the icons that its page loads from elsewhere.
func sources() []source {
	return []source{
		{
			name: "@socket.io/admin-ui", version: "0.5.1",
			integrity: "sha512-1dlGL2FGm6T+uL1e6iDvbo2eCINwvW7iVbjIblwh5kPPRM1SP8lmZrbFZf4QNJ/cqQ+JLcx49eXGM9WAB4TK7w==",
			rename: func(name string) string {
				if name == "LICENSE" {
					return "LICENSE.admin-ui"
				}
				file, ok := strings.CutPrefix(name, "ui/dist/")
				if !ok || strings.HasSuffix(file, ".map") {
					return ""
				}
				return file
			},
		},
		{
			name: "@mdi/font", version: "7.4.47",
			integrity: "sha512-43MtGpd585SNzHZPcYowu/84Vz2a2g31TvPMTm9uTiCSWzaheQySUcSyUH/46fPnuPQWof2yd0pGBtzee/IQWw==",
			rename: func(name string) string {
				switch name {
				case "LICENSE":
					return "LICENSE.mdi-font"
				case "css/materialdesignicons.min.css", "fonts/materialdesignicons-webfont.woff2":
					return name
				}
				return ""
			},
		},
	}
}

// What a package may have at most, against archives that unpack to more than a disk has.
const (
	maxFile  = 16 << 20
	maxFiles = 100_000
)

var errUsage = errors.New("name one folder for the files")

// collect returns the content of all files by their names.
func collect(ctx context.Context, from string) (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, s := range sources() {
		before := len(files)
		var err error
		if from != "" {
			err = s.copyFrom(filepath.Join(from, filepath.FromSlash(s.name)), files)
		} else {
			err = s.download(ctx, files)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		if len(files) == before {
			return nil, fmt.Errorf("%s has none of the files that are needed", s.name)
		}
	}
	return files, nil
}

// copyFrom takes the files of an installed package.
func (s source) copyFrom(folder string, files map[string][]byte) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // it was only read
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		target := s.rename(name)
		if err != nil || d.IsDir() || target == "" {
			return err
		}
		files[target], err = fs.ReadFile(root.FS(), name)
		return err
	})
}

// download has npm get the archive, which checks it, and checks it again: npm compares it
// with what the registry says.
func (s source) download(ctx context.Context, files map[string][]byte) error {
	folder, err := os.MkdirTemp("", "sioadmin-ui")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()                                                                    // of temporary files
	npm := exec.CommandContext(ctx, "npm", "pack", "--silent", "--pack-destination", folder, s.name+"@"+s.version) //nolint:gosec // constants
	npm.Stderr = os.Stderr
	if err := npm.Run(); err != nil {
		return fmt.Errorf("npm pack: %w: is npm installed? With -from it is not needed", err)
	}
	archives, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
	if err != nil || len(archives) != 1 {
		return fmt.Errorf("npm pack has written %d archives, want one", len(archives))
	}
	archive, err := os.ReadFile(archives[0])
	if err != nil {
		return err
	}
	sum := sha512.Sum512(archive)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != s.integrity {
		return fmt.Errorf("the archive of version %s is not the one that is known: it has %s", s.version, got)
	}
	return s.unpack(archive, files)
}

// unpack takes the files out of an archive, where all names begin with a folder.
func (s source) unpack(archive []byte, files map[string][]byte) error {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	t := tar.NewReader(z)
	for range maxFiles {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, _ := strings.Cut(path.Clean(h.Name), "/")
		target := s.rename(name)
		if target == "" || h.Typeflag != tar.TypeReg {
			continue
		}
		if !fs.ValidPath(target) || h.Size > maxFile {
			return fmt.Errorf("the file %q of the archive has a bad name or is too large", h.Name)
		}
		if files[target], err = io.ReadAll(io.LimitReader(t, maxFile)); err != nil {
			return err
		}
	}
	return errors.New("the archive has too many files")
}
