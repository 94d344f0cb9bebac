"""One trustee. Owns its shares and what it posted; refuses to post before it has stored."""
