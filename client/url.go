package sioclient

import (
	"fmt"
	"net/url"
	"strings"
)

// parseURL returns the server's address and the namespace that a URL stands for
// (CLI-URL-1, CLI-URL-2).
func parseURL(raw string) (server *url.URL, namespace string, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, "", fmt.Errorf("sioclient: %w", err)
	}
	switch u.Scheme {
	case "http", "https":
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	default:
		return nil, "", fmt.Errorf("sioclient: the URL %q does not begin with http, https, ws or wss", raw)
	}
	if u.Host == "" {
		return nil, "", fmt.Errorf("sioclient: the URL %q has no host", raw)
	}
	namespace, err = checkNamespace(u.Path)
	if err != nil {
		return nil, "", err
	}
	return &url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host, RawQuery: u.RawQuery}, namespace, nil
}

// checkNamespace returns a namespace with its leading slash.
func checkNamespace(name string) (string, error) {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	if strings.ContainsAny(name, ",?") {
		return "", fmt.Errorf("sioclient: the namespace %q has a comma or a question mark", name)
	}
	return name, nil
}
