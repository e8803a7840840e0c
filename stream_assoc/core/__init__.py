"""What an associator computes: tables, the sky, association and statistics, without input or output."""
