package sio_test

import (
	"fmt"
	"strings"
	"testing"

	sio "github.com/sioplug/sioplug/core"
)

func TestPerMessageDeflateMistakes(t *testing.T) { // EIO-WD-1
	for want, p := range map[string]sio.PerMessageDeflate{
		"Threshold is negative":     {Threshold: -1},
		"Level is 10":               {Level: 10},
		"Level is -1":               {Level: -1},
		"ServerMaxWindowBits is 8":  {ServerMaxWindowBits: 8},
		"ServerMaxWindowBits is 16": {ServerMaxWindowBits: 16},
		"ClientMaxWindowBits is -9": {ClientMaxWindowBits: -9},
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "sio: Options.PerMessageDeflate."+want) {
					t.Errorf("the panic says %q", got)
				}
			}()
			sio.New(&sio.Options{PerMessageDeflate: &p})
		})
	}
	for _, p := range []*sio.PerMessageDeflate{
		nil, {}, {Threshold: 1, Level: 9, ServerMaxWindowBits: 9, ClientMaxWindowBits: 15},
	} {
		sio.New(&sio.Options{PerMessageDeflate: p})
	}
}
