//! Which numbers are free.

/// Free numbers, a bit each, in blocks of as many as a word has. The lowest is given out first.
#[derive(Debug)]
pub(super) struct FreeNumbers {
    blocks: Vec<u64>,
    /// A bit for each block in which a number is free.
    roomy: Vec<u64>,
    /// No word of `roomy` before this one has a bit.
    from: usize,
    /// The lowest free number. Past all blocks if none is free.
    next: u32,
}

/// Numbers in a block.
pub(super) const BLOCK: usize = 1 << BITS;
const BITS: u32 = 6;

/// A number's block, and its place there.
#[inline]
pub(super) fn place(number: u32) -> (usize, usize) {
    ((number >> BITS) as usize, number as usize % BLOCK)
}

impl FreeNumbers {
    pub(super) const fn new() -> Self {
        FreeNumbers { blocks: Vec::new(), roomy: Vec::new(), from: 0, next: 0 }
    }

    /// The end of the last block.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.blocks.len() << BITS).unwrap_or(u32::MAX)
    }

    /// The lowest free number.
    #[inline]
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Gives out the [`next`](Self::next) number, which is in a block.
    #[inline]
    pub(super) fn take(&mut self) {
        let (block, _) = place(self.next);
        let Some(free) = self.blocks.get_mut(block) else { return };
        // The lowest of all is the lowest of its block.
        *free &= free.wrapping_sub(1);
        if *free == 0 {
            self.fill_up(block);
        } else {
            self.next = self.next >> BITS << BITS | free.trailing_zeros();
        }
    }

    /// A block has no room any more.
    #[cold]
    fn fill_up(&mut self, block: usize) {
        self.roomy[block >> BITS] &= !(1 << (block % BLOCK));
        while self.roomy.get(self.from) == Some(&0) {
            self.from += 1;
        }
        self.next = match self.roomy.get(self.from) {
            None => self.end(),
            Some(word) => {
                let block = self.from << BITS | word.trailing_zeros() as usize;
                u32::try_from(block << BITS).unwrap_or(u32::MAX) | self.blocks[block].trailing_zeros()
            }
        };
    }

    /// Takes back a number that was given out. Whether all of its block are free now.
    #[inline]
    pub(super) fn give(&mut self, number: u32) -> bool {
        let (block, at) = place(number);
        let Some(free) = self.blocks.get_mut(block) else { return false };
        let had_room = *free != 0;
        *free |= 1 << at;
        let all = *free == u64::MAX;
        self.next = self.next.min(number);
        if !had_room {
            self.has_room(block);
        }
        all
    }

    /// Whether all numbers of a block are free.
    pub(super) fn all_free(&self, block: usize) -> bool {
        self.blocks.get(block) == Some(&u64::MAX)
    }

    /// Adds a block of free numbers. Only while none is free.
    pub(super) fn add_block(&mut self) {
        let block = self.blocks.len();
        self.blocks.push(u64::MAX);
        self.roomy.resize((block >> BITS) + 1, 0);
        self.has_room(block);
    }

    /// Removes the last block, all of whose numbers are free.
    pub(super) fn remove_block(&mut self) {
        self.blocks.pop();
        let last = self.blocks.len();
        self.roomy[last >> BITS] &= !(1 << (last % BLOCK));
        self.next = self.next.min(self.end());
    }

    /// A block has room again, or is a new one.
    #[cold]
    fn has_room(&mut self, block: usize) {
        self.roomy[block >> BITS] |= 1 << (block % BLOCK);
        self.from = self.from.min(block >> BITS);
    }
}
