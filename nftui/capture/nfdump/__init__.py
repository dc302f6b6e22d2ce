"""The files that nfdump's programs write (nfcapd, sfcapd, nfpcapd, nfdump -w): octets to columns.

    files       what is in a file: header, blocks, the account at its end; reads it in frames of bounded size
    codecs      how a block is compressed
    records     where the records of a block begin, and which of them are laid out alike
    extensions  nfdump 1.7: a record lists its extensions
    maps        nfdump 1.6: a record names a map of extensions
    columns     fields of many records become columns

Source: github.com/phaag/nfdump, the comments and structures of nffile.h, nffileV2.h, nfxV3.h, exporter.h of versions 1.6 and 1.7.
"""
