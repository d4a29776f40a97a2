package wasim

import "sync"

// receiptsKept is how many receipts are kept for each phone.
const receiptsKept = 1_000

// receiptLog keeps the last receipts that the phones got. The zero value is empty and ready.
type receiptLog struct {
	phones sync.Map // number -> *phoneReceipts
}

type phoneReceipts struct {
	mu   sync.Mutex // guards list
	list []Receipt
}

func (l *receiptLog) add(number string, receipt Receipt) {
	found, ok := l.phones.Load(number)
	if !ok {
		found, _ = l.phones.LoadOrStore(number, &phoneReceipts{})
	}
	kept := found.(*phoneReceipts) //nolint:forcetypeassert // Nothing else is stored.
	kept.mu.Lock()
	defer kept.mu.Unlock()
	if len(kept.list) == receiptsKept {
		kept.list = append(kept.list[:0], kept.list[1:]...)
	}
	kept.list = append(kept.list, receipt)
}

// of are the receipts of a phone, oldest first.
func (l *receiptLog) of(number string) []Receipt {
	found, ok := l.phones.Load(number)
	if !ok {
		return []Receipt{}
	}
	kept := found.(*phoneReceipts) //nolint:forcetypeassert // Nothing else is stored.
	kept.mu.Lock()
	defer kept.mu.Unlock()
	return append([]Receipt{}, kept.list...)
}
