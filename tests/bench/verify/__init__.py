"""What it costs to compare the rows of two servers, beside other ways to compare them."""
