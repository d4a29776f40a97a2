package batch //nolint:testpackage // what a request is made into is stored, and nobody else sees it

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
)

func TestTemplates(t *testing.T) {
	t.Parallel()
	fields := map[string]string{"name": "Anna", "день": "пятница", "brace": "{{name}}", "empty": "", "long": strings.Repeat("я", message.MaxTextLength)}
	for name, tc := range map[string]struct {
		text, want string
		err        string
	}{
		"no field":                {text: "hi", want: "hi"},
		"fields":                  {text: "{{name}}, {{ день }}!", want: "Anna, пятница!"},
		"the same field twice":    {text: "{{name}} {{name}}", want: "Anna Anna"},
		"a value is literal":      {text: "hi {{brace}}", want: "hi {{name}}"},
		"single braces":           {text: "{name} }} {", want: "{name} }} {"},
		"an empty value":          {text: "hi {{empty}}", want: "hi "},
		"as long as it gets":      {text: "{{long}}", want: fields["long"]},
		"an unknown field":        {text: "{{age}}", err: `fields: "age" is missing`},
		"names are exact":         {text: "{{Name}}", err: `fields: "Name" is missing`},
		"nothing left":            {text: "{{empty}}", err: message.ErrEmptyText.Error()},
		"one too long":            {text: "{{long}}!", err: message.ErrTextTooLong.Error()},
		"blown up":                {text: strings.Repeat("{{long}}", 1000), err: message.ErrTextTooLong.Error()},
		"not closed":              {text: "hi {{name", err: errOpenField.Error()},
		"no name":                 {text: "hi {{ }}", err: errEmptyField.Error()},
		"a name beyond measure":   {text: "{{" + strings.Repeat("n", maxFieldName+1) + "}}", err: errLongField.Error()},
		"a name of the full size": {text: "{{" + strings.Repeat("n", maxFieldName) + "}}", err: "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, err := ParseTemplate(message.Content{Kind: message.Text, Text: tc.text})
			var content message.Content
			if err == nil {
				content, err = template.Render(fields)
			}
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, message.Content{Kind: message.Text, Text: tc.want}, content)
		})
	}
}

// What is rendered is valid, and a template without fields says what it says.
func FuzzTemplate(f *testing.F) {
	f.Add("Hello {{name}}", "Anna")
	f.Add("{{{{a}}}}", "}}")
	f.Add("{{", "")
	f.Fuzz(func(t *testing.T, text, value string) {
		template, err := ParseTemplate(message.Content{Kind: message.Text, Text: text})
		if err != nil {
			return
		}
		fields := map[string]string{}
		for name := range template.Fields() {
			require.NotEmpty(t, name)
			fields[name] = value
		}
		content, err := template.Render(fields)
		if err != nil {
			return
		}
		require.NoError(t, content.Validate())
		if len(fields) == 0 {
			require.Equal(t, text, content.Text)
		}
	})
}
