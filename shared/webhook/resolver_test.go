package webhook_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// DNS numbers that the answers below need.
const (
	typeA, typeAAAA    = 1, 28
	headerSize         = 12
	flagsAnswer        = 0x8180 // response, recursion desired and available
	rcodeNameError     = 3
	pointerToQuestion  = 0xC00C
	classInternet, ttl = 1, 0
)

// newResolver returns a resolver that knows these names and nothing else. It speaks DNS to a server in this process.
func newResolver(t *testing.T, names map[string][]string) *net.Resolver {
	t.Helper()
	return &net.Resolver{
		PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe() // not a packet connection, so the resolver frames as over TCP
			go answerDNS(server, names)
			return client, nil
		},
	}
}

func answerDNS(conn net.Conn, names map[string][]string) {
	defer func() { _ = conn.Close() }()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		answer := answerQuery(query, names)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func answerQuery(query []byte, names map[string][]string) []byte {
	var labels []string
	at := headerSize
	for query[at] != 0 {
		n := int(query[at])
		labels = append(labels, string(query[at+1:at+1+n]))
		at += 1 + n
	}
	kind := binary.BigEndian.Uint16(query[at+1:])
	question := query[headerSize : at+5]
	addresses, known := names[strings.Join(labels, ".")]

	var records []byte
	var count uint16
	for _, address := range addresses {
		ip := netip.MustParseAddr(address)
		if (kind == typeA) != ip.Is4() || (kind != typeA && kind != typeAAAA) {
			continue
		}
		count++
		records = binary.BigEndian.AppendUint16(records, pointerToQuestion)
		records = binary.BigEndian.AppendUint16(records, kind)
		records = binary.BigEndian.AppendUint16(records, classInternet)
		records = binary.BigEndian.AppendUint32(records, ttl)
		records = binary.BigEndian.AppendUint16(records, uint16(len(ip.AsSlice())))
		records = append(records, ip.AsSlice()...)
	}
	flags := uint16(flagsAnswer)
	if !known {
		flags |= rcodeNameError
	}
	answer := append([]byte{}, query[:2]...)
	for _, n := range []uint16{flags, 1, count, 0, 0} {
		answer = binary.BigEndian.AppendUint16(answer, n)
	}
	return append(append(answer, question...), records...)
}
