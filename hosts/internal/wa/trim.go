package wa

import (
	"reflect"
	"unsafe"

	"go.mau.fi/whatsmeow"
)

// recentMessages is the client's map of what it sent last, to answer retry receipts from (whatsmeow client.go, retry.go).
const recentMessages = "recentMessagesMap"

// trim gives back the room that whatsmeow reserves in every new client for the last 256 messages: 35 KB, which is half
// of what an idle session holds. The map grows by itself, and the outbox answers retry receipts that it does not (see
// messageForRetry). There is no option for it, so this reaches into the client, before anything uses it; a version that
// has no such map is left as it is.
func trim(client *whatsmeow.Client) (trimmed bool) {
	field := reflect.ValueOf(client).Elem().FieldByName(recentMessages)
	if !field.IsValid() || field.Kind() != reflect.Map || field.Len() > 0 {
		return false
	}
	// The field is not exported; writing it takes its address.
	field = reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem() //nolint:gosec // of a live field, with its own type
	field.Set(reflect.MakeMap(field.Type()))
	return true
}
