package webhook_test

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/webhook"
)

// blockedAddresses are refused by name in CheckURL and again when they are dialled, in every environment.
var blockedAddresses = []string{
	"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", // private
	"169.254.169.254", "169.254.1.1", "100.100.100.200", "192.0.0.192", "168.63.129.16", // metadata and link-local
	"0.0.0.0", "0.1.2.3", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", // special
	"[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[fd00:ec2::254]", "[::]", "[ff02::1]", "[fec0::1]", // the same in IPv6
	"[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::ffff:8.8.8.8]", "[::ffff:127.0.0.1]", // mapped
	"[::127.0.0.1]", "[::10.0.0.1]", // compatible
	"[64:ff9b::10.0.0.1]", "[64:ff9b::8.8.8.8]", "[64:ff9b:1::a00:1]", // NAT64
	"[2002:a00:1::1]", "[2001::1]", "[2001:db8::1]", "[5f00::1]", // 6to4, Teredo, documentation, SRv6
}

// loopback is allowed where development asks for it.
var loopbackAddresses = []string{"127.0.0.1", "127.1.2.3", "[::1]", "localhost", "LOCALHOST.", "db.localhost"}

// disguises are spellings that some resolvers take for an address.
var disguises = []string{
	"2130706433", "0x7f000001", "0x7f.0.0.1", "127.1", "0177.0.0.1", "127.0.0.1.", "0x7f.1", "127.0.0.0x1", "017700000001", "1.1",
}

func TestCheckURLOfAddresses(t *testing.T) {
	t.Parallel()
	production, development := webhook.NewTargets(false, true), webhook.NewTargets(true, true)
	strict := webhook.NewTargets(true, false)
	for _, host := range blockedAddresses {
		for _, targets := range []*webhook.Targets{production, development, strict} {
			require.ErrorIs(t, targets.CheckURL("https://"+host+"/hook"), webhook.ErrTargetBlocked, host)
		}
	}
	for _, host := range loopbackAddresses {
		require.ErrorIs(t, production.CheckURL("https://"+host+":8443/hook"), webhook.ErrTargetBlocked, host)
		require.ErrorIs(t, strict.CheckURL("http://"+host+"/hook"), webhook.ErrTargetBlocked, host)
		require.NoError(t, development.CheckURL("http://"+host+":8080/hook"), host)
	}
	for _, host := range disguises {
		for _, targets := range []*webhook.Targets{production, strict} {
			require.Error(t, targets.CheckURL("https://"+host+"/hook"), host)
		}
	}
	for _, host := range []string{"8.8.8.8", "[2606:4700:4700::1111]", "example.com", "hooks.example.co.uk", "a-1.example", "пример.рф"} {
		for _, targets := range []*webhook.Targets{production, development, strict} {
			require.NoError(t, targets.CheckURL("https://"+host+"/hook?token=1"), host)
			require.NoError(t, targets.CheckURL("https://"+host+":8443"), host)
		}
	}
}

func TestCheckURLOfForms(t *testing.T) {
	t.Parallel()
	production, development := webhook.NewTargets(false, false), webhook.NewTargets(true, true)
	for _, raw := range []string{
		"", "example.com", "//example.com", "https://", "https:///path", "ftp://example.com", "file:///etc/passwd", "gopher://example.com",
		"https://user@example.com", "https://user:secret@example.com", "https://example.com/#part", "https://example.com:0", "https://example.com:65536",
		"https://example.com:x", "https://exa mple.com", "https://[::1", "javascript:alert(1)", "https://" + strings.Repeat("a", 2048) + ".example",
	} {
		for _, targets := range []*webhook.Targets{production, development} {
			err := targets.CheckURL(raw)
			require.ErrorIs(t, err, webhook.ErrInvalidURL, raw)
			require.NotContains(t, err.Error(), "secret", "the URL must not be quoted")
		}
	}
	require.ErrorIs(t, production.CheckURL("http://example.com"), webhook.ErrInvalidURL, "plain http is for development")
	require.NoError(t, development.CheckURL("http://example.com"))
	require.NoError(t, production.CheckURL("HTTPS://Example.COM/Hook"))
}

func TestControlSeesTheRealAddress(t *testing.T) {
	t.Parallel()
	production, development := webhook.NewTargets(false, true), webhook.NewTargets(true, true)
	for _, host := range blockedAddresses {
		host = strings.Replace(host, "%25", "%", 1)
		network := "tcp4"
		if strings.HasPrefix(host, "[") {
			network = "tcp6"
		}
		require.ErrorIs(t, production.Control(network, host+":443", nil), webhook.ErrTargetBlocked, host)
		require.ErrorIs(t, development.Control(network, host+":443", nil), webhook.ErrTargetBlocked, host)
	}
	require.ErrorIs(t, production.Control("tcp4", "127.0.0.1:443", nil), webhook.ErrTargetBlocked)
	require.ErrorIs(t, production.Control("tcp6", "[::1]:443", nil), webhook.ErrTargetBlocked)
	require.NoError(t, development.Control("tcp4", "127.0.0.1:8080", nil))
	require.NoError(t, development.Control("tcp6", "[::1]:8080", nil))
	require.NoError(t, production.Control("tcp4", "8.8.8.8:443", nil))
	require.ErrorIs(t, production.Control("udp4", "8.8.8.8:443", nil), webhook.ErrTargetBlocked, "only TCP")
	require.ErrorIs(t, production.Control("tcp4", "nonsense", nil), webhook.ErrTargetBlocked)
}

// What CheckURL lets pass is a name, or an address that Control lets pass too; never one in disguise.
func FuzzCheckURL(f *testing.F) {
	for _, host := range slices.Concat(blockedAddresses, loopbackAddresses, disguises, []string{"example.com", "a@b", "10.0A0"}) {
		f.Add("https://" + host + "/")
	}
	targets := webhook.NewTargets(false, true)
	f.Fuzz(func(t *testing.T, raw string) {
		if targets.CheckURL(raw) != nil {
			return
		}
		u, err := url.Parse(raw)
		require.NoError(t, err)
		require.Equal(t, "https", u.Scheme)
		require.Nil(t, u.User)
		host := strings.TrimSuffix(u.Hostname(), ".")
		if addr, err := netip.ParseAddr(host); err == nil {
			network := map[bool]string{true: "tcp4", false: "tcp6"}[addr.Is4()]
			require.NoError(t, targets.Control(network, netip.AddrPortFrom(addr, 443).String(), nil), raw)
			return
		}
		require.NotRegexp(t, inetAton, host)
	})
}

// inetAton is what the C library would read as an IPv4 address: up to four numbers, decimal, octal or hexadecimal.
var inetAton = regexp.MustCompile(`(?i)^((0x[0-9a-f]*|[0-9]+)(\.|$)){1,4}$`)
