package docs

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"wafleet/shared/api"
)

//go:embed page.html
var pageHTML string

// Contract serves openapi.yaml.
func Contract() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
		_, _ = w.Write(api.Contract) // the client is gone if this fails
	})
}

// Page serves the contract as a page. It is self-contained: a browser that shows it asks nobody else for anything.
func Page() http.Handler {
	render := sync.OnceValues(func() ([]byte, error) { return Render(api.Contract) })
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		page, err := render()
		if err != nil { // a test renders the contract of this build, so it does not come to this
			panic(err)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		_, _ = w.Write(page) // as above
	})
}

// Render makes the page of a contract.
func Render(contract []byte) ([]byte, error) {
	spec, err := parse(contract)
	if err != nil {
		return nil, err
	}
	page, err := template.New("page").Funcs(template.FuncMap{
		"prose": prose, "upper": strings.ToUpper, "last": lastPart, "words": words,
	}).Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, spec); err != nil {
		return nil, fmt.Errorf("render page: %w", err)
	}
	return out.Bytes(), nil
}

// prose turns the little Markdown that the contract uses into HTML: paragraphs and `code`.
func prose(text string) template.HTML {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		b.WriteString("<p>")
		b.WriteString(inline(paragraph))
		b.WriteString("</p>")
	}
	return template.HTML(b.String()) //nolint:gosec // inline escapes every piece
}

// words is prose without a paragraph of its own.
func words(text string) template.HTML {
	return template.HTML(inline(strings.TrimSpace(text))) //nolint:gosec // inline escapes every piece
}

func inline(text string) string {
	var b strings.Builder
	for i, piece := range strings.Split(text, "`") {
		if i%2 == 1 {
			b.WriteString("<code>" + template.HTMLEscapeString(piece) + "</code>")
		} else {
			b.WriteString(template.HTMLEscapeString(piece))
		}
	}
	return b.String()
}

// lastPart is the name at the end of a reference.
func lastPart(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
