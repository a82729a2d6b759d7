// Package benchdata has the documents that benchmarks of different packages encode and
// decode, so that their figures can be compared.
package benchdata

import "fmt"

// A Page is a document of about 1 KiB in JSON: see [NewPage].
type Page struct {
	Room  string `json:"room"`
	Users []User `json:"users"`
}

// A User is a part of a [Page].
type User struct {
	ID     int               `json:"id"`
	Name   string            `json:"name"`
	Email  string            `json:"email"`
	Active bool              `json:"active"`
	Score  float64           `json:"score"`
	Tags   []string          `json:"tags"`
	Extra  map[string]string `json:"extra"`
}

// NewPage returns a page with six users. It is the same page each time.
func NewPage() Page {
	p := Page{Room: "lobby"}
	for i := range 6 {
		p.Users = append(p.Users, User{
			ID: i, Name: fmt.Sprintf("User Number %d", i), Email: fmt.Sprintf("user%d@example.org", i), Active: i%2 == 0,
			Score: float64(i) * 1.25, Tags: []string{"alpha", "beta", "gamma"}, Extra: map[string]string{"city": "Berlin", "lang": "de"},
		})
	}
	return p
}
