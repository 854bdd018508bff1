package mount

// Usage is how much of a volume is used.
type Usage struct {
	Bytes  Amount
	Inodes Amount
}

// Amount is a total and what is used and available of it.
type Amount struct {
	Total     int64
	Used      int64
	Available int64
}

func (a Amount) half() Amount {
	a.Total /= 2
	a.Available = max(0, a.Total-a.Used)
	return a
}
