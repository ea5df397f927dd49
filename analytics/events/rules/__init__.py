"""Rules as data: documents, checked as a whole, told in words, and made into what runs."""
