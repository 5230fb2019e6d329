//! A `variables.index` as TensorFlow writes it: a LevelDB-style table whose empty key holds the bundle's header.

/// The index of a checkpoint in so many shards, with one variable of `size` bytes in the first.
pub fn index(shards: u8, size: u64) -> Vec<u8> {
    // BundleHeaderProto: num_shards = 1, version = 3 { producer = 1 }; little endian is the default.
    let header = [0x08, shards, 0x1a, 0x02, 0x08, 0x01];
    // BundleEntryProto: dtype = 1 (DT_FLOAT), size = 5.
    let mut variable = vec![0x08, 0x01, 0x28];
    varint(&mut variable, size);
    let mut table = Vec::new();
    let data = block(&mut table, &[(b"", &header), (b"v", &variable)]);
    let meta = block(&mut table, &[]);
    let root = block(&mut table, &[(b"w", &data)]);
    let mut footer = meta;
    footer.extend(root);
    footer.resize(40, 0);
    footer.extend(0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    table.extend(footer);
    table
}

/// Appends a block of entries without shared prefixes, and answers its handle.
fn block(table: &mut Vec<u8>, entries: &[(&[u8], &[u8])]) -> Vec<u8> {
    let start = table.len();
    for (key, value) in entries {
        varint(table, 0);
        varint(table, key.len() as u64);
        varint(table, value.len() as u64);
        table.extend_from_slice(key);
        table.extend_from_slice(value);
    }
    table.extend(0_u32.to_le_bytes());
    table.extend(1_u32.to_le_bytes());
    let size = table.len() - start;
    table.push(0);
    let checksum = crc32c::crc32c(&table[start..])
        .rotate_right(15)
        .wrapping_add(0xa282_ead8);
    table.extend(checksum.to_le_bytes());
    let mut handle = Vec::new();
    varint(&mut handle, start as u64);
    varint(&mut handle, size as u64);
    handle
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
