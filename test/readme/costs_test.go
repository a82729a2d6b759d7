package readme_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCostsAreMeasured compares the numbers of README.md with docs/benchmarks.md.
func TestCostsAreMeasured(t *testing.T) {
	t.Parallel()
	_, section, _ := strings.Cut(readFile(t, "../../README.md"), "\n## What it costs\n")
	section, _, _ = strings.Cut(section, "\n## ")
	measure := regexp.MustCompile(`\d[\d,]*(?:\.\d+)?`)
	measured := measure.FindAllString(readFile(t, "../../docs/benchmarks.md"), -1)
	rows := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(line, "|\n "), "|")
		if len(cells) != 4 {
			continue
		}
		for _, n := range measure.FindAllString(strings.Join(cells[1:], " "), -1) {
			rows++
			if !slices.Contains(measured, n) {
				t.Errorf("README.md has %s for the%s, which docs/benchmarks.md has not", n, cells[0])
			}
		}
	}
	if rows < 10 {
		t.Errorf("only %d numbers", rows)
	}
}
