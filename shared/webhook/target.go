package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

// maxURL is the length of the longest URL in bytes that is accepted for an endpoint.
const maxURL = 2048

var (
	// ErrInvalidURL says that a text cannot be the URL of an endpoint.
	ErrInvalidURL = errors.New("not a usable URL")
	// ErrTargetBlocked says that a URL or an address is none that we send to.
	ErrTargetBlocked = errors.New("target address is not allowed")
)

var (
	loopbackV4 = netip.MustParsePrefix("127.0.0.0/8")
	loopbackV6 = netip.MustParsePrefix("::1/128")
	// Metadata services of clouds mostly live in link-local or private ranges, which are refused as such. Azure's
	// host is the one with a public address.
	azureHost = netip.MustParsePrefix("168.63.129.16/32")
)

// Targets decides which servers may be sent to: those with a public unicast address. Private, loopback, link-local,
// metadata, multicast and reserved ranges are refused, as are the IPv6 forms that carry an IPv4 address (mapped,
// NAT64, 6to4, Teredo). It is safe for concurrent use.
type Targets struct {
	guardian  *ssrf.Guardian
	plainHTTP bool
}

// NewTargets returns the rules of production, or with dev those of development, which also allow plain http and, unless
// loopback is false, the machine itself. In production loopback has no effect.
func NewTargets(dev, loopback bool) *Targets {
	options := []ssrf.Option{ssrf.WithAnyPort(), ssrf.WithDeniedV4Prefixes(azureHost)}
	if dev && loopback {
		options = append(options, ssrf.WithAllowedV4Prefixes(loopbackV4), ssrf.WithAllowedV6Prefixes(loopbackV6))
	}
	return &Targets{guardian: ssrf.New(options...), plainHTTP: dev}
}

// CheckURL says early and to the customer's face what a delivery would run into: a scheme that is not https, credentials
// in the URL, or an address in the place of a name that Control would refuse. A name is not resolved, because it may
// resolve to something else later; that is what Control is for. The error wraps ErrInvalidURL or ErrTargetBlocked.
func (t *Targets) CheckURL(raw string) error {
	if len(raw) > maxURL {
		return fmt.Errorf("%w: longer than %d bytes", ErrInvalidURL, maxURL)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("%w: cannot be parsed", ErrInvalidURL) // url.Error quotes the URL, which may hold a token
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !t.plainHTTP):
		return fmt.Errorf("%w: must be https", ErrInvalidURL)
	case host == "":
		return fmt.Errorf("%w: has no host", ErrInvalidURL)
	case u.User != nil:
		return fmt.Errorf("%w: must not hold credentials", ErrInvalidURL)
	case u.Fragment != "":
		return fmt.Errorf("%w: must not have a fragment", ErrInvalidURL)
	case !validPort(u.Port()):
		return fmt.Errorf("%w: port is out of range", ErrInvalidURL)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return t.checkAddr(addr)
	}
	if looksNumeric(host) {
		// 2130706433, 0x7f.1 and 127.1 are addresses to some resolvers and names to others; nobody needs them.
		return fmt.Errorf("%w: an address must be written as four decimal numbers", ErrInvalidURL)
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761: always loopback
		return t.checkAddr(loopbackV6.Addr())
	}
	return nil
}

// Control is for net.Dialer: it sees the address that is about to be connected to, after all resolving.
func (t *Targets) Control(network, address string, conn syscall.RawConn) error {
	if err := t.guardian.Safe(network, address, conn); err != nil {
		return fmt.Errorf("%w: %w", ErrTargetBlocked, err)
	}
	return nil
}

func (t *Targets) checkAddr(addr netip.Addr) error {
	if err := t.guardian.SafeAddr(addr); err != nil {
		return fmt.Errorf("%w: %s", ErrTargetBlocked, addr)
	}
	return nil
}

func validPort(port string) bool {
	if port == "" {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// looksNumeric says whether a host ends in a number, which by the URL standard makes all of it an IPv4 address.
func looksNumeric(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if digits, hex := strings.CutPrefix(last, "0x"); hex {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
