package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want string
		ok   bool
	}{
		{
			name: "a passing package is one line",
			in: []string{
				`{"Action":"output","Package":"p","Output":"-test.shuffle 1\n"}`,
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"a log\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Output":"PASS\n"}`,
				`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}`,
				`{"Action":"pass","Package":"p"}`,
			},
			want: "ok  \tp\t0.1s\n1 passed, 0 failed, 0 skipped\n",
			ok:   true,
		},
		{
			name: "a skipped test says why and fails",
			in: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"node is missing\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"--- SKIP: TestA\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}`,
				`{"Action":"pass","Package":"p"}`,
			},
			want: "node is missing\n--- SKIP: TestA\nok  \tp\t0.1s\n" +
				"\nHere a skipped test is a failure: install what it asks for.\n" +
				"0 passed, 0 failed, 1 skipped\n",
		},
		{
			name: "a package without tests is not a skipped test, but no test is no success",
			in: []string{
				`{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}`,
				`{"Action":"skip","Package":"p"}`,
			},
			want: "0 passed, 0 failed, 0 skipped\n",
		},
		{
			name: "a failed test prints its output",
			in: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"got 1\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: "got 1\nFAIL\tp\t0.1s\n0 passed, 1 failed, 0 skipped\n",
		},
		{
			name: "a crash prints what the test had said",
			in: []string{
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestB","Output":"panic: oh\n"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: "panic: oh\nFAIL\tp\t0.1s\n1 passed, 0 failed, 0 skipped\n",
		},
		{
			name: "a package that does not build fails",
			in: []string{
				`{"ImportPath":"p","Action":"build-output","Output":"p.go:1: oh\n"}`,
				`{"ImportPath":"p","Action":"build-fail"}`,
				`{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}`,
				`{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			},
			want: "p.go:1: oh\nFAIL\tp [build failed]\n0 passed, 0 failed, 0 skipped\n",
		},
		{
			name: "what is no event is printed",
			in:   []string{"go: no such flag"},
			want: "go: no such flag\n0 passed, 0 failed, 0 skipped\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			r := newReport(&out)
			if err := r.read(strings.NewReader(strings.Join(tt.in, "\n") + "\n")); err != nil {
				t.Fatal(err)
			}
			if ok := r.summary(); ok != tt.ok || out.String() != tt.want {
				t.Errorf("ok = %v and printed:\n%s\nwant %v and:\n%s", ok, &out, tt.ok, tt.want)
			}
		})
	}
}
