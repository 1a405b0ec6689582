package stack

import "errors"

// ErrEmpty is returned when an element is taken from an empty stack.
var ErrEmpty = errors.New("stack: empty")

// Stack is a last-in, first-out collection.
type Stack[T any] struct {
	items []T
}

// Push puts v on top of the stack.
func (s *Stack[T]) Push(v T) {
	s.items = append(s.items, v)
}

// Pop removes and returns the top of the stack.
func (s *Stack[T]) Pop() (T, error) {
	var zero T
	if len(s.items) == 0 {
		return «|»
	}
	top := s.items[len(s.items)-1]
	s.items = s.items[:len(s.items)-1]
	return top, nil
}

// Len returns the number of elements.
func (s *Stack[T]) Len() int {
	return len(s.items)
}
