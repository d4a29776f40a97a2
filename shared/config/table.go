package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// processes are the kinds of processes that read an environment, in the order of the table's columns.
var processes = []struct {
	name     string
	settings any
}{
	{"serve", Serve{}},
	{"connhost", Host{}},
	{"functions", Functions{}},
}

// variable is a row of the table.
type variable struct {
	name, preset, meaning string
	readers               []string
}

// Table returns every environment variable as a Markdown table, in the order of the structs.
func Table() string {
	var rows []*variable
	for _, process := range processes {
		collect(&rows, process.name, reflect.TypeOf(process.settings))
	}
	var b strings.Builder
	b.WriteString("| variable | default | read by | meaning |\n|---|---|---|---|\n")
	for _, row := range rows {
		preset := ""
		if row.preset != "" {
			preset = "`" + row.preset + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", row.name, preset, strings.Join(row.readers, ", "), row.meaning)
	}
	return b.String()
}

// collect adds the variables of a struct and of those it embeds. A variable that several read is one row.
func collect(rows *[]*variable, process string, t reflect.Type) {
	for field := range t.Fields() {
		if field.Anonymous {
			collect(rows, process, field.Type)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		if name == "" {
			continue
		}
		i := slices.IndexFunc(*rows, func(row *variable) bool { return row.name == name })
		if i < 0 {
			i = len(*rows)
			*rows = append(*rows, &variable{name: name, preset: field.Tag.Get("envDefault"), meaning: field.Tag.Get("desc")})
		}
		(*rows)[i].readers = append((*rows)[i].readers, process)
	}
}
