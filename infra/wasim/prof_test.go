package wasim_test

import ("testing";"strconv";"sync";"wafleet/infra/wasim")

func BenchmarkInProc(b *testing.B) {
	s := start(b, wasim.Options{})
	const companies = 8
	var clients []*sender
	for i := range companies {
		from, to := strconv.Itoa(79200000000+i), strconv.Itoa(79300000000+i)
		s.phone(b, from, from); s.phone(b, to, to)
		company := s.pair(b, from)
		company.text(b, to, "first")
		clients = append(clients, &sender{company, to})
	}
	b.ResetTimer()
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() { for n := i; n < b.N; n += companies { c.company.text(b, c.to, "hello") } })
	}
	all.Wait()
}
