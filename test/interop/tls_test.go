package interop_test

import (
	"encoding/pem"
	"net/http/httptest"
	"testing"
)

// listenTLS serves the app on a second address, over TLS and with HTTP/2. It returns
// the variables by which a scenario finds it and trusts it.
func (a *app) listenTLS(t *testing.T) (env []string) {
	t.Helper()
	a.mu.Lock()
	web := httptest.NewUnstartedServer(newGin(a.sio))
	a.mu.Unlock()
	web.EnableHTTP2 = true
	web.StartTLS()
	t.Cleanup(func() {
		web.CloseClientConnections() // polls would keep it waiting
		web.Close()
	})
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	return []string{"INTEROP_TLS_URL=" + web.URL, "INTEROP_CA=" + string(ca)}
}
