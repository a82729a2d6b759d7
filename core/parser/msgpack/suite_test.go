package msgpack_test

import (
	"testing"

	"github.com/sioplug/sioplug/core/parser/msgpack"
	"github.com/sioplug/sioplug/core/siotest"
)

func TestSuite(t *testing.T) { siotest.TestParser(t, msgpack.Parser{}) }
