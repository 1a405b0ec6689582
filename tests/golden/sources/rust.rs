use std::collections::⟦HashMap⟧;
use std::io::{self, ⟦BufRead⟧};

/// Counts ⟦the words of a text.⟧
pub fn count_words(text: &str) -> HashMap<String, ⟦usize⟧> {
    let mut counts = HashMap::⟦new()⟧;
    for word in text.⟦split_whitespace()⟧ {
        *counts.entry(word.⟦to_string()⟧).or_insert(⟦0⟧) += 1;
    }
    ⟦counts⟧
}

pub struct Stack<T> {
    items: ⟦Vec<T>⟧,
}

impl<T> Stack<T> {
    pub fn new() -> Self {
        ⟦Self { items: Vec::new() }⟧
    }

    pub fn push(&mut self, item: T) {
        self.items.push(⟦item⟧);
    }

    pub fn pop(&mut self) -> Option<⟦T⟧> {⟦
        self.items.pop()
    ⟧}
}

fn main() {
    for line in io::stdin().lock().⟦lines()⟧ {
        println!("{}", ⟦line.unwrap()⟧);
    }
}
