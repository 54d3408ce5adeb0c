"""Claims in documents, held against the records that back them."""
