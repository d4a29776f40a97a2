package preview

import (
	"fmt"
	"io"
	"mime"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

// head is what a page says of itself.
type head struct{ title, summary, picture string }

// read reads the head of a page in whatever encoding it has. What is no page has an empty head.
func read(page io.Reader, contentType string) (h head, err error) {
	if kind, _, err := mime.ParseMediaType(contentType); err != nil || (kind != "text/html" && kind != "application/xhtml+xml") {
		return h, nil //nolint:nilerr // what cannot be read is no page
	}
	text, err := charset.NewReader(page, contentType)
	if err != nil {
		return h, fmt.Errorf("read page: %w", err)
	}
	named := make(map[string]string)
	tokens := html.NewTokenizer(text)
	for inTitle := false; ; {
		switch tokens.Next() {
		case html.ErrorToken:
			return h.of(named), nil // the end, or damaged: what was read up to there counts
		case html.TextToken:
			if inTitle && named["title"] == "" {
				named["title"] = string(tokens.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			token := tokens.Token()
			inTitle = token.DataAtom == atom.Title
			if token.DataAtom == atom.Body {
				return h.of(named), nil
			}
			if token.DataAtom == atom.Meta {
				meta(token, named)
			}
		case html.EndTagToken:
			inTitle = false
			if tokens.Token().DataAtom == atom.Head {
				return h.of(named), nil
			}
		case html.CommentToken, html.DoctypeToken:
		}
	}
}

// meta notes what a meta tag says, the first one of a name.
func meta(token html.Token, named map[string]string) {
	var name, content string
	for _, a := range token.Attr {
		switch a.Key {
		case "property", "name":
			name = a.Val
		case "content":
			content = a.Val
		}
	}
	if name != "title" && named[name] == "" {
		named[name] = content
	}
}

// of prefers what is said for the purpose.
func (h head) of(named map[string]string) head {
	h.title, h.summary, h.picture = named["og:title"], named["og:description"], named["og:image"]
	if h.title == "" {
		h.title = named["title"]
	}
	if h.summary == "" {
		h.summary = named["description"]
	}
	return h
}
