"""A certificate's validity, read from DER: of real ones, and of everything that one flipped bit or a cut makes of them."""

from binascii import a2b_base64

from replenish.core import der
from replenish.core.isotime import days

from host_tests.expect import cases, raises

# Roots made for this test: an RSA one until 2049 (UTCTime to the end), a P-256 one until 2051 (GeneralizedTime).
RSA = a2b_base64(
    b"MIICtjCCAZ6gAwIBAgIBATANBgkqhkiG9w0BAQsFADAUMRIwEAYDVQQDDAlUZXN0IHJvb3QwHhcNMjQwMjI5MDAwMDAwWhcNNDkxMjMxMjM1OTU5WjAUMRIw"
    b"EAYDVQQDDAlUZXN0IHJvb3QwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQDaebOFu1bQgBHgXBlTKvBDy6fqPu2nvx2f7n2Nfc/7T1bmfkW20Rrp"
    b"g8RVB1RjSVw/64+xEl1FK9Yw4pvYT12wXkBb25zdge1pgoZxJOud/1G5G78VG8yhCUZ11xYkGJbbJQ+8uR+VwG4RntX5YDl8ivfWsEVS73xFH0LBsRdZ4/Xc"
    b"DaonYg9CwJFe3LgjrlQZxXFnjZzVmQEtcLJ7/0ZVaLPGhBi0Ku9FGUXtEhIhEf3ZF9sUuFZ4DRticqgrrv2nf3dcUjTdopw/50ld1lWRZpuyIGBNqeuVi7ML"
    b"NZxFVccYezY8rin67L77w5BylEyWAaitEDeJyuvRmOxA0xS7AgMBAAGjEzARMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBALKylIsGSUKY"
    b"+1vMmkEbZ0MDJEnEwgkZZROoHySd5m6sTfvaHdNlv02pgmelpB/w9GPG/innUe3zcbk6tcmHYkoS7OovExjI8p4Ilc7990qBcwfqul3x2d3pKtjt3Sc44THy"
    b"VCxJk5b6wyBpb4jojf0TkfK5rlYD4RF5wP9LRg+uIIoAtplcvzaG3KtyRswAiwsAsqtBZ8lXaraOyQPQQK/JwrO09B/4dwZzm+Fa42yqroVGq4IB7bzO3HeX"
    b"WtJLkgNfGge2ccfuOkl+/Zzus9oMmeWWmSLp3H/D2cRqnHb5aThuiMymQ2r9427Ru+TSh2UqZy1cVKPPSBkQUtkqWAM="
)
P256 = a2b_base64(
    b"MIIBMzCB2qADAgECAgkBAAAAAAAAAAAwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJVGVzdCByb290MCAXDTI1MDEwMTAwMDAwMFoYDzIwNTEwMzAxMDAwMDAw"
    b"WjAUMRIwEAYDVQQDDAlUZXN0IHJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQSGTZJvhXLVgtKCHJc2gG2xv28I0llUjpxFvfZ1zUz5pGJA7aVVXfd"
    b"mZ2WcASjtoGMjq8EUAf8s3O0M1oBMDcAoxMwETAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDapuGBI8W1VTPazJEFmCgwmyASjsJj1XHX"
    b"JVVxyzygkwIgDoFfz3pQkjkYQOkVHA6vQVrnBr7KXu4mUGwDJ7COV7w="
)


def test_the_days_of_real_roots():
    assert der.validity(RSA) == (days(2024, 2, 29), days(2049, 12, 31))
    assert der.validity(memoryview(P256)) == (days(2025, 1, 1), days(2051, 3, 1))


def test_each_flipped_bit_is_read_or_refused_by_a_value_error():
    for whole in (RSA, P256):
        read = 0
        for i in range(len(whole) * 8):
            data = bytearray(whole)
            data[i >> 3] ^= 1 << (i & 7)
            try:
                first, last = der.validity(data)
            except ValueError:
                continue
            assert first <= last
            read += 1
        assert 0 < read < len(whole) * 8, "most bits are no business of this, those of the structure are"


def test_each_cut_and_each_tail_is_refused():
    for whole in (RSA, P256):
        for size in range(len(whole)):
            raises(ValueError, der.validity, whole[:size])
        raises(ValueError, der.validity, whole + b"\0")


def replaced(old, new):
    assert P256.count(old) == 1 and len(old) == len(new)
    return P256.replace(old, new)


def test_what_is_no_date():
    cases(
        lambda data: raises(ValueError, der.validity, data),
        (
            (replaced(b"250101000000Z", b"251301000000Z"),),
            (replaced(b"250101000000Z", b"250100000000Z"),),
            (replaced(b"250101000000Z", b"250132000000Z"),),
            (replaced(b"250101000000Z", b"2501010000+1Z"),),
            (replaced(b"250101000000Z", b"2501010000000"),),
            (replaced(b"20510301000000Z", b"20241231000000Z"),),  # ends before it begins
            (replaced(b"20510301000000Z", b"19491231000000Z"),),
        ),
    )
    assert der.validity(replaced(b"250101000000Z", b"500101000000Z"))[0] == days(1950, 1, 1)
    assert der.validity(replaced(b"20510301000000Z", b"99991231235959Z"))[1] == days(9999, 12, 31)


def test_lengths_that_der_does_not_write():
    cases(
        lambda data: raises(ValueError, der.validity, data),
        (
            (b"",),
            (b"\x30",),
            (b"\x30\x80" + P256[4:],),  # indefinite
            (b"\x30\x81\x7f" + bytes(127),),  # one byte too many for the size
            (b"\x30\x82\x00\xff" + bytes(255),),
            (b"\x30\x83\x01\x00\x00" + bytes(65536),),
            (b"\x30\x82\xff\xff" + P256[4:],),
        ),
    )
