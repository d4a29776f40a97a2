package interop

import (
	"fmt"
	"testing"
)

func dump(t *testing.T, id string) {
	t.Cleanup(func() {
		for after := uint64(0); ; {
			rows := whatsapp.Journal(after, 0)
			if len(rows) == 0 {
				return
			}
			for _, row := range rows {
				if row.ID == id {
					fmt.Printf("%+v\n", row)
				}
			}
			after = rows[len(rows)-1].N
		}
	})
}
