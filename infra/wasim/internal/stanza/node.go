package stanza

import (
	"fmt"
	"strconv"
	"time"

	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// Attrs are the attributes of a node: strings, numbers and addresses.
type Attrs = binary.Attrs

// Node is an element of binary XML.
type Node = binary.Node

// New builds a node with children.
func New(tag string, attrs Attrs, children ...Node) Node {
	node := Node{Tag: tag, Attrs: attrs}
	if len(children) > 0 {
		node.Content = children
	}
	return node
}

// Leaf builds a node with bytes as content.
func Leaf(tag string, content []byte) Node { return Node{Tag: tag, Content: content} }

// Child returns the first child with a tag; without one it returns an empty node, on which everything can be asked.
func Child(node Node, tag string) Node {
	for _, child := range node.GetChildren() {
		if child.Tag == tag {
			return child
		}
	}
	return Node{}
}

// Has reports whether a node has a child with the tag.
func Has(node Node, tag string) bool { return Child(node, tag).Tag != "" }

// Bytes is the content of a node. The codec packs short strings of digits, which then come back as text.
func Bytes(node Node) []byte {
	switch content := node.Content.(type) {
	case []byte:
		return content
	case string:
		return []byte(content)
	default:
		return nil
	}
}

// Text is the content of a node as a string.
func Text(node Node) string { return string(Bytes(node)) }

// Str is an attribute as text; absent is "".
func Str(node Node, key string) string {
	switch value := node.Attrs[key].(type) {
	case string:
		return value
	case types.JID:
		return value.String()
	case nil:
		return ""
	default:
		return fmt.Sprint(value) // Numbers, in nodes that were built here.
	}
}

// Int is an attribute as a number; absent or not a number is 0.
func Int(node Node, key string) int {
	number, err := strconv.Atoi(Str(node, key))
	if err != nil {
		return 0
	}
	return number
}

// JID is an attribute as an address. Clients send addresses both in their own encoding and as plain strings.
func JID(node Node, key string) types.JID {
	switch value := node.Attrs[key].(type) {
	case types.JID:
		return value
	case string:
		jid, err := types.ParseJID(value)
		if err != nil {
			return types.EmptyJID
		}
		return jid
	default:
		return types.EmptyJID
	}
}

// Unix is a time as attributes carry it: seconds since 1970.
func Unix(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

// Children are the nodes in a node.
func Children(node Node) []Node { return node.GetChildren() }
