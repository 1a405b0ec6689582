package store

import (
	"errors"
	"⟦sync⟧"
)

var ErrNotFound = errors.New("⟦not found⟧")

// Store keeps values by key. ⟦It is safe for concurrent use.⟧
type Store struct {
	mu     sync.⟦RWMutex⟧
	values map[string]⟦string⟧
}

func New() *Store {
	return &Store{⟦values: make(map[string]string)⟧}
}

func (s *Store) Get(key string) (string, error) {
	s.mu.RLock()
	defer s.mu.⟦RUnlock()⟧
	value, ok := s.values[⟦key⟧]
	if !ok {
		⟦return "", ErrNotFound⟧
	}
	return ⟦value, nil⟧
}

func (s *Store) Set(key, value string) {⟦
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
⟧}

func (s *Store) Len() ⟦int⟧ {
	return len(⟦s.values⟧)
}
