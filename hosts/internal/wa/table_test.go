package wa

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/session"
	"wafleet/shared/webhook"
)

// notDispatched are the exported structs of whatsmeow's events package that are parts of events, not events.
var notDispatched = map[string]string{
	"NewsletterMessageMeta": "in Message",
	"MediaRetryError":       "in MediaRetry",
	"BlocklistChange":       "in Blocklist",
}

// Every event that whatsmeow has is in the table, and the table has no other: a new one cannot be missed at an update.
func TestTheTableIsComplete(t *testing.T) {
	t.Parallel()
	var known []string
	for name, isStruct := range declared(t) {
		if _, part := notDispatched[name]; isStruct && !part {
			known = append(known, name)
		}
	}
	require.Greater(t, len(known), 60, "the source was found")
	require.ElementsMatch(t, known, cases(t))
}

// declared are the exported types of whatsmeow's events package.
func declared(t *testing.T) map[string]bool {
	t.Helper()
	// The method's code says where the package is, wherever modules are kept.
	method, found := reflect.TypeFor[*events.Message]().MethodByName("UnwrapRaw")
	require.True(t, found)
	file, _ := runtime.FuncForPC(method.Func.Pointer()).FileLine(method.Func.Pointer())
	dir := filepath.Dir(file)
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the sources of whatsmeow are not here, or the paths were trimmed")
	}
	types := make(map[string]bool)
	for _, f := range parsed(t, dir) {
		for _, declaration := range f.Decls {
			general, ok := declaration.(*ast.GenDecl)
			if !ok || general.Tok != token.TYPE {
				continue
			}
			for _, spec := range general.Specs {
				spec := spec.(*ast.TypeSpec) //nolint:forcetypeassert // what a type declaration consists of
				if spec.Name.IsExported() {
					_, types[spec.Name.Name] = spec.Type.(*ast.StructType)
				}
			}
		}
	}
	return types
}

// cases are the events that the table's switch names.
func cases(t *testing.T) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "table.go", nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		clause, ok := n.(*ast.CaseClause)
		if !ok {
			return true
		}
		for _, expression := range clause.List {
			if star, ok := expression.(*ast.StarExpr); ok {
				names = append(names, star.X.(*ast.SelectorExpr).Sel.Name) //nolint:forcetypeassert // *events.X
			}
		}
		return true
	})
	return names
}

func parsed(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	return files
}

// What whatsmeow calls a permanent disconnect it never mends by itself: each has a row that brings the session back, or
// says what the user has to do, and tells of it.
func TestNoPermanentDisconnectIsForgotten(t *testing.T) {
	t.Parallel()
	c := &Conn{}
	for _, e := range []events.PermanentDisconnect{
		&events.LoggedOut{}, &events.StreamReplaced{}, &events.ClientOutdated{}, &events.TemporaryBan{},
		&events.ConnectFailure{Reason: 400}, &events.CATRefreshError{},
	} {
		if _, messenger := e.(*events.CATRefreshError); messenger {
			continue
		}
		s, relevant := c.signal(e)
		require.True(t, relevant, "%T", e)
		require.Contains(t, session.States(), s.State, "%T", e)
		require.Contains(t, []string{
			webhook.SessionDisconnected, webhook.SessionLoggedOut, webhook.SessionBanned, webhook.SessionReplaced,
		}, s.Event, "%T", e)
		require.NotEmpty(t, s.Reason, "%T", e)
		back := s.Then == actor.Retry || s.Then == actor.Pause || s.Then == actor.Yield || s.Then == actor.Renew
		require.True(t, back || s.Then == actor.Halt && s.Action != "", "%T", e)
	}
}
