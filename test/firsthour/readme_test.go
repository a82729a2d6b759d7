package firsthour_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// A guide is what README.md tells somebody to do who has an application.
type guide struct {
	get    []string // the command that adds sioplug
	server string   // a server with its first event
	who    string   // the line by which a handler reads what middleware has stored
	mount  string   // the line that mounts the server
}

// readGuide takes out of README.md what is there for an integration. The name is that
// of its folder.
func readGuide(t *testing.T, name string) guide {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	return guide{
		get:    strings.Fields(line(t, readme, `go get .*/integrations/`+name+`\s`)),
		server: server(t, readme),
		who:    line(t, readme, `\w+(, \w+)? := sio`+name+`\.`),
		mount:  line(t, readme, `sio`+name+`\.Mount\(`),
	}
}

// line returns the first line that begins as the pattern says, without its comment.
func line(t *testing.T, readme, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + pattern + `.*$`).FindString(readme)
	if found == "" {
		t.Fatalf("README.md has no line for %s", pattern)
	}
	code, _, _ := strings.Cut(found, " //")
	code, _, _ = strings.Cut(code, " #")
	return strings.TrimSpace(code)
}

// server returns what stands in README's first block of Go between the framework and
// the mount.
func server(t *testing.T, readme string) string {
	t.Helper()
	_, block, _ := strings.Cut(readme, "```go\n")
	block, _, found := strings.Cut(block, "```")
	begin, end := strings.Index(block, "srv := "), strings.Index(block, "siogin.Mount(")
	if !found || begin < 0 || end < begin {
		t.Fatalf("README.md does not begin with a server that is mounted:\n%s", block)
	}
	return block[begin:end]
}

// packages are those that the command adds.
func (g guide) packages() []string { return g.get[2:] }

// apply adds to an application what the guide says, and a handler that answers who is
// there. The application's source has marks where that goes.
func (g guide) apply(source, answer string) string {
	handler := "srv.On(\"whoami\", func(c *sio.Ctx) error {\n" + g.who + "\n" + answer + "\n})\n"
	return strings.NewReplacer(
		"// README: imports", `"`+strings.Join(g.packages(), "\"\n\t\"")+`"`,
		"// README: mount", g.server+handler+g.mount,
	).Replace(source)
}
