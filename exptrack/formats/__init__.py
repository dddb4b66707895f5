"""How Django writes dates by itself, which only the admin lets it do."""
