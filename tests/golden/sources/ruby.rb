require "⟦json⟧"

class Library
  attr_reader :⟦books⟧

  def initialize
    @books = ⟦[]⟧
  end

  def add(title, author)
    @books << { title: title, ⟦author: author⟧ }
  end

  def find(title)
    ⟦@books.find { |book| book[:title] == title }⟧
  end

  def by_author(author)
    @books.select { |book| ⟦book[:author] == author⟧ }
  end

  def to_json(*args)
    @books.⟦to_json(*args)⟧
  end
end

library = Library.⟦new⟧
library.add("Emma", ⟦"Jane Austen"⟧)
puts library.find(⟦"Emma"⟧)
