package local

import (
	"fmt"
	"strings"

	"wafleet/infra/local/devenv"
)

// greet tells people that the system is ready, and what to try next.
func (s *System) greet() {
	_, _ = fmt.Fprint(s.options.Out, s.greeting()) // nobody may be looking
}

func (s *System) greeting() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nwafleet is ready on %s\n\n", s.url())
	if !s.settings.Mode.Dev() {
		fmt.Fprintf(&b, "  admin key   in %s\n\n", s.dir.Path(adminKeyName))
		return b.String()
	}
	fmt.Fprintf(&b, "  console     %[1]s\n  contract    %[1]s/docs\n", s.url())
	switch {
	case s.peer.controlURL != "":
		fmt.Fprintf(&b, "  WhatsApp    a simulator on %s\n", s.peer.controlURL)
	case s.peer.Endpoint != "":
		fmt.Fprintf(&b, "  WhatsApp    the server on %s\n", s.peer.Endpoint)
	default:
		b.WriteString("  WhatsApp    itself\n")
	}
	fmt.Fprintf(&b, "  data        %s\n\n", s.dir.Path())
	fmt.Fprintf(&b, "Try it in another terminal:\n\n  curl -s %s%s\n\n", s.url(), healthPath)
	b.WriteString("and then, line by line:\n\n")
	for _, line := range tour(s.dir.Path(devEnvName), s.peer.controlURL != "") {
		b.WriteString("  " + line + "\n")
	}
	b.WriteString("\n")
	return b.String()
}

// tour is a company that links a number and writes to a customer. It works as pasted, more than once, and needs nothing
// but a shell and curl. Without a simulator it stops where a person with a phone goes on.
func tour(devEnvPath string, simulated bool) []string {
	lines := []string{
		". " + devenv.Quote(devEnvPath),
		`api() { at=$1; shift; curl -sS "$WAFLEET_URL/api/whatsapp$at" -H "X-API-Key: $WAFLEET_API_KEY" -H 'Content-Type: application/json' "$@"; echo; }`,
		`api /companies -d '{"companyId":"demo"}'`,
		`api /sessions/demo/initialize -X POST`,
	}
	const qr = `api /sessions/demo/qr -f --retry 5 --retry-delay 1 --retry-all-errors`
	if !simulated {
		return append(lines, qr)
	}
	return append(lines,
		`phones() { at=$1; shift; curl -sS "$WASIM_URL/phones$at" -H 'Content-Type: application/json' "$@"; echo; }`,
		`phones "" -d '{"phone":"79001234567","name":"Shop"}'`,
		`phones "" -d '{"phone":"79007654321","name":"Anna"}'`,
		qr+` | sed 's/.*\("qr": *"[^"]*"\).*/{\1}/' | phones /79001234567/scan -d @-`,
		`api /send -d '{"companyId":"demo","phone":"79007654321","message":"Hello, Anna"}'`,
		`for i in 1 2 3 4 5 6 7 8 9; do phones /79007654321/messages | grep Hello && break; sleep 1; done`,
	)
}
