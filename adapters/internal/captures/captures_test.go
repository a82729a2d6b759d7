package captures_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/sioplug/sioplug/adapters/internal/captures"
)

// adapters are those that publish what servers of this module understand.
var adapters = []string{
	"redis-classic", "redis-classic-specific", "redis-emitter",
	"redis-sharded", "redis-sharded-dynamic-private", "redis-sharded-static",
	"redis-streams", "redis-streams-count2", "redis-streams-plaintext", "redis-streams-sharded", "redis-streams-emitter",
	"postgres",
}

// The rows are those of the reference, where that is beside the project.
func TestRowsAreThoseOfTheReference(t *testing.T) {
	t.Parallel()
	in, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "shared", "reference", "cluster-captures.jsonl"))
	if os.IsNotExist(err) {
		t.Skip("the reference is not beside the project")
	}
	if err != nil {
		t.Fatal(err)
	}
	rows := captures.Rows(t, adapters...)
	for line := range bytes.Lines(in) {
		var want captures.Row
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(adapters, want.Adapter) || !slices.Contains([]string{"PUBLISH", "SPUBLISH", "XADD", "NOTIFY"}, want.Command) &&
			(want.Adapter != "postgres" || want.Hex == "") {
			continue
		}
		if want.Decoded == nil {
			want.Decoded = captures.FromJSON(t, []byte(want.Text))
		}
		if want.Args != nil {
			want.Args = want.Args[:len(want.Args)-1]
		}
		if len(rows) == 0 || !reflect.DeepEqual(rows[0], want) {
			t.Fatalf("%s is not the next row", want.ID)
		}
		rows = rows[1:]
	}
	if len(rows) > 0 {
		t.Errorf("%d rows more than the reference has", len(rows))
	}
}

// All rows of package captures belong to an adapter that is tested.
func TestNumberOfRows(t *testing.T) {
	t.Parallel()
	if got := len(captures.Rows(t, adapters...)); got != 324 {
		t.Errorf("%d rows", got)
	}
}
