package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestCompatibilityIsUpToDate keeps test/conformance/rows.md true: a row that it
// calls tested has a test with the row's id in its name.
func TestCompatibilityIsUpToDate(t *testing.T) {
	t.Parallel()
	if err := run("../..", false); err != nil {
		t.Error(err)
	}
}

// TestCountsOfRows compares the numbers in docs/compatibility.md with the rows.
func TestCountsOfRows(t *testing.T) {
	t.Parallel()
	rows, err := os.ReadFile("../../" + document)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	statuses := []string{"as the reference", "better", "differs", "later", "others"}
	counts := make(map[string]int)
	all := 0
	for line := range strings.Lines(string(rows)) {
		m := tableRow.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || strings.HasPrefix(m[1], "CLI-") { // the page is about the server
			continue
		}
		all++
		i := slices.IndexFunc(statuses, func(s string) bool { return strings.HasPrefix(m[2], s) })
		if i < 0 {
			i = len(statuses) - 1
		}
		counts[statuses[i]]++
	}
	if want := fmt.Sprintf(" in %d rows", all); !strings.Contains(string(page), want) {
		t.Errorf("docs/compatibility.md should say%s", want)
	}
	for _, status := range statuses {
		found := false
		for line := range strings.Lines(string(page)) {
			found = found || strings.HasPrefix(line, "| "+status) && strings.HasSuffix(line, fmt.Sprintf(" | %d |\n", counts[status]))
		}
		if !found {
			t.Errorf("docs/compatibility.md should count %d rows %q", counts[status], status)
		}
	}
}

func TestARowWithoutTestNeedsAReason(t *testing.T) {
	t.Parallel()
	text := "| EIO-X-1 | as the reference | old |\n| EIO-X-2 | better |  |\n| EIO-X-3 | later |  |\n" +
		"| EIO-X-4 | as the reference: by `X` |  |\n| EIO-X-5 | as the reference, shown by X |  |\n| EIO-X-6 | differs: X |  |"
	got, missing := fill(text, map[string][]string{"EIO-X-1": {"a_test.go"}})
	if want := strings.Replace(text, "old", "a_test.go", 1); got != want {
		t.Errorf("got %q", got)
	}
	if want := []string{"EIO-X-2", "EIO-X-4", "EIO-X-6"}; !slices.Equal(missing, want) {
		t.Errorf("missing %v, want %v", missing, want)
	}
}

func TestWhereIDsAreFound(t *testing.T) {
	t.Parallel()
	for source, want := range map[string][]string{
		"// EIO-A-1 in a comment":                                       nil,
		"t.Run(\"EIO-A-2 and EIO-B-3..5\", f) // EIO-A-9":               {"EIO-A-2", "EIO-B-3", "EIO-B-4", "EIO-B-5"},
		"test('SIO-C-4b x')":                                            {"SIO-C-4b"},
		"{ids{classic: \"ECO-RC-1,12\", other: \"ECO-SH-7,ECO-CL-5\"}}": {"ECO-CL-5", "ECO-RC-1", "ECO-RC-12", "ECO-SH-7"},
		"func TestSIO_BC_1_Values(t *testing.T) {":                      {"SIO-BC-1"},
		"func TestSIO_BC_1_CSR_2b_EIO_V3_4(t *testing.T) {":             {"EIO-V3-4", "SIO-BC-1", "SIO-CSR-2b"},
		"func TestECO_MP_1_MP_2_Values(t *testing.T) {":                 {"ECO-MP-1", "ECO-MP-2"},
		"func TestSIO_BC_Many(t *testing.T) {":                          nil,
		"func TestOther_BC_1(t *testing.T) {":                           nil,
	} {
		if got := ids(source); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", source, got, want)
		}
	}
}

func TestIDsWithoutRowAreLeft(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{"EIO-X-1": {"a_test.go"}, "EIO-X-11": {"a_test.go"}}
	fill("| EIO-X-1 | as the reference |  |", tests)
	if len(tests) != 1 || tests["EIO-X-11"] == nil {
		t.Errorf("left: %v", tests)
	}
}
