package docscheck

import (
	"path"
	"regexp"
	"strings"
)

// Repository is what documents can refer to.
type Repository struct {
	Files     map[string]bool // the paths of all files and folders, with slashes
	Documents map[string]*Document
}

// Links returns the links of a document to files and headings that do not exist.
func (r *Repository) Links(d *Document) (problems []Problem) {
	for _, b := range d.blocks {
		for _, m := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(b.text, "x"), -1) {
			if fault := r.follow(d, m[2]); fault != "" {
				problems = append(problems, Problem{d.File, b.line, "the link " + m[2] + " leads nowhere: " + fault})
			}
		}
	}
	return problems
}

// follow returns what is wrong with a link. Addresses of other hosts are not followed.
func (r *Repository) follow(d *Document, target string) (fault string) {
	if strings.Contains(target, ":") {
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := d.File
	if file != "" {
		to = path.Join(path.Dir(d.File), file)
	}
	if !r.Files[to] {
		return "there is no " + to
	}
	if to, ok := r.Documents[to]; anchor != "" && ok && !to.anchors[anchor] {
		return to.File + " has no such heading"
	}
	return ""
}

var (
	// A path begins with a folder of the repository.
	repositoryPath = regexp.MustCompile(`^(?:bench|core|docs|examples|integrations|internal|middleware|scripts|test)/[\w./-]+$`)
	// A file has its folder before it.
	fileInFolder = regexp.MustCompile(`^[\w.-]+/[\w./-]*\.(?:go|md|mjs|sh|yml)$`)
)

// Paths returns the files and folders that a document names in code spans, and that do
// not exist. A name may leave out the folders at the beginning.
func (r *Repository) Paths(d *Document) (problems []Problem) {
	for _, b := range d.blocks {
		for _, span := range codeSpan.FindAllString(b.text, -1) {
			name := strings.Trim(span, "`")
			isModule := strings.HasPrefix(name, "github.com/")
			if isModule || !repositoryPath.MatchString(name) && !fileInFolder.MatchString(name) {
				continue
			}
			name = strings.TrimSuffix(strings.TrimSuffix(name, "..."), "/")
			if !r.has(name) {
				problems = append(problems, Problem{d.File, b.line, "there is no " + name})
			}
		}
	}
	return problems
}

func (r *Repository) has(name string) bool {
	if r.Files[name] {
		return true
	}
	for file := range r.Files {
		if strings.HasSuffix(file, "/"+name) {
			return true
		}
	}
	return false
}
