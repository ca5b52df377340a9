"""Memberships, points, coupons, passes, referrals."""
