//! The tile instructions in software, so that the code made of them runs on processors without tiles: a handler of the
//! signal that an unknown instruction raises decodes it, does its work and goes on behind it.
//!
//! Encodings and meanings are those of Intel's Software Developer's Manual, volume 2. A wrong configuration, a tile of
//! sizes that don't fit and an instruction that is none of these end the process, as they do on a processor.

use std::cell::RefCell;
use std::sync::Once;

use half::bf16;

/// Bytes of a row of a tile.
const ROW: usize = 64;
const TILES: usize = 8;

/// One thread's tiles.
struct State {
    data: [[[u8; ROW]; 16]; TILES],
    row_bytes: [usize; TILES],
    rows: [usize; TILES],
}

const RELEASED: State = State {
    data: [[[0; ROW]; 16]; TILES],
    row_bytes: [0; TILES],
    rows: [0; TILES],
};

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(RELEASED) };
}

/// Lets this process run tile instructions.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: the handler has the signature that SA_SIGINFO asks for, and the action is complete.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(_, _, _) = on_unknown_instruction;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO;
            let done = libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut());
            assert_eq!(done, 0, "a handler of unknown instructions");
        }
    });
}

/// Runs the instruction, or lets it end the process.
extern "C" fn on_unknown_instruction(
    signal: libc::c_int,
    _: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel hands a context of this type to the handler, and instructions are at most fifteen bytes of
    // code, behind which every program has more.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let at = registers[libc::REG_RIP as usize];
        let code: [u8; 15] = (at as *const [u8; 15]).read();
        let done = Instruction::decode(&code, registers).and_then(|(instruction, len)| {
            STATE.with_borrow_mut(|state| state.run(&instruction))?;
            Some(len)
        });
        match done {
            Some(len) => registers[libc::REG_RIP as usize] = at + len as i64,
            // Back at the instruction, the signal ends the process.
            None => _ = libc::signal(signal, libc::SIG_DFL),
        }
    }
}

enum Instruction {
    Configure(*const u8),
    Release,
    Zero(usize),
    Load {
        tile: usize,
        at: *const u8,
        step: isize,
    },
    Store {
        tile: usize,
        at: *mut u8,
        step: isize,
    },
    Product {
        sums: usize,
        left: usize,
        right: usize,
    },
}

impl Instruction {
    /// The instruction at the start of `code`, and its length.
    fn decode(code: &[u8; 15], registers: &[i64; 23]) -> Option<(Self, usize)> {
        let [0xc4, first, second, opcode, rest @ ..] = code else {
            return None;
        };
        let prefix = second & 0b11;
        // The map 0F38, no wide operands, 128 bits.
        if first & 0x1f != 2 || second & 0x84 != 0 {
            return None;
        }
        let high = |bit: u8| usize::from(!first >> bit & 1) << 3;
        let modrm = rest[0];
        let (mode, reg) = (modrm >> 6, usize::from(modrm >> 3 & 7) | high(7));
        let rm = usize::from(modrm & 7) | high(5);
        let (address, step, len) = if mode == 3 {
            (0, None, 1)
        } else {
            Self::memory(rest, [high(6), high(5)], registers)?
        };
        let instruction = match (opcode, prefix, mode == 3) {
            (0x49, 0, true) if modrm == 0xc0 => Self::Release,
            (0x49, 0, false) if reg == 0 => Self::Configure(address as *const u8),
            (0x49, 3, true) if rm == 0 => Self::Zero(reg),
            (0x4b, 3, false) => Self::Load {
                tile: reg,
                at: address as *const u8,
                step: step?,
            },
            (0x4b, 2, false) => Self::Store {
                tile: reg,
                at: address as *mut u8,
                step: step?,
            },
            (0x5c, 2, true) => Self::Product {
                sums: reg,
                left: rm,
                right: usize::from(!second >> 3 & 15),
            },
            _ => return None,
        };
        Some((instruction, 4 + len))
    }

    /// The address of the first row, the step to the next one where there is an index, and the operand's length.
    fn memory(
        rest: &[u8],
        [index_high, base_high]: [usize; 2],
        registers: &[i64; 23],
    ) -> Option<(usize, Option<isize>, usize)> {
        const NUMBERED: [i32; 16] = [
            libc::REG_RAX,
            libc::REG_RCX,
            libc::REG_RDX,
            libc::REG_RBX,
            libc::REG_RSP,
            libc::REG_RBP,
            libc::REG_RSI,
            libc::REG_RDI,
            libc::REG_R8,
            libc::REG_R9,
            libc::REG_R10,
            libc::REG_R11,
            libc::REG_R12,
            libc::REG_R13,
            libc::REG_R14,
            libc::REG_R15,
        ];
        let register = |number: usize| registers[NUMBERED[number] as usize] as isize;
        let (mode, rm) = (rest[0] >> 6, rest[0] & 7);
        let mut len = 1;
        let (mut base, mut step) = (usize::from(rm) | base_high, None);
        if rm == 4 {
            let sib = rest[1];
            len += 1;
            base = usize::from(sib & 7) | base_high;
            let index = usize::from(sib >> 3 & 7) | index_high;
            // Number 4 stands for no index.
            step = Some(if index == 4 {
                0
            } else {
                register(index) << (sib >> 6)
            });
        }
        let shift = match mode {
            // Number 5 stands for no base, or for the instruction's own address.
            0 if base % 8 == 5 => return None,
            1 => isize::from(rest[len] as i8),
            2 => {
                let bytes = [rest[len], rest[len + 1], rest[len + 2], rest[len + 3]];
                i32::from_le_bytes(bytes) as isize
            }
            _ => 0,
        };
        len += [0, 1, 4, 0][usize::from(mode)];
        Some(((register(base) + shift) as usize, step, len))
    }
}

impl State {
    /// Nothing where a processor would refuse.
    fn run(&mut self, instruction: &Instruction) -> Option<()> {
        match *instruction {
            Instruction::Configure(at) => {
                *self = RELEASED;
                // SAFETY: the program hands over 64 bytes.
                let config: [u8; 64] = unsafe { at.cast::<[u8; 64]>().read() };
                if config[0] != 1 || config[1..16].iter().any(|&byte| byte != 0) {
                    return None;
                }
                for tile in 0..16 {
                    let bytes = u16::from_le_bytes([config[16 + 2 * tile], config[17 + 2 * tile]]);
                    let (bytes, rows) = (usize::from(bytes), usize::from(config[48 + tile]));
                    let fits = if tile < TILES {
                        bytes <= ROW && rows <= 16 && (bytes == 0) == (rows == 0)
                    } else {
                        bytes == 0 && rows == 0
                    };
                    if !fits {
                        return None;
                    }
                    if tile < TILES {
                        (self.row_bytes[tile], self.rows[tile]) = (bytes, rows);
                    }
                }
            }
            Instruction::Release => *self = RELEASED,
            Instruction::Zero(tile) => {
                self.size(tile)?;
                self.data[tile] = [[0; ROW]; 16];
            }
            Instruction::Load { tile, at, step } => {
                let (rows, bytes) = self.size(tile)?;
                self.data[tile] = [[0; ROW]; 16];
                for (y, row) in self.data[tile].iter_mut().take(rows).enumerate() {
                    let from = at.wrapping_offset(y as isize * step);
                    // SAFETY: the program says that these bytes may be read.
                    unsafe { from.copy_to_nonoverlapping(row.as_mut_ptr(), bytes) };
                }
            }
            Instruction::Store { tile, at, step } => {
                let (rows, bytes) = self.size(tile)?;
                for (y, row) in self.data[tile].iter().take(rows).enumerate() {
                    let to = at.wrapping_offset(y as isize * step);
                    // SAFETY: the program says that these bytes may be written.
                    unsafe { row.as_ptr().copy_to_nonoverlapping(to, bytes) };
                }
            }
            Instruction::Product { sums, left, right } => self.product(sums, left, right)?,
        }
        Some(())
    }

    /// Rows and bytes of a row of a tile that is configured.
    fn size(&self, tile: usize) -> Option<(usize, usize)> {
        let rows = *self.rows.get(tile)?;
        (rows > 0).then_some((rows, self.row_bytes[tile]))
    }

    fn product(&mut self, sums: usize, left: usize, right: usize) -> Option<()> {
        let (rows, bytes) = self.size(sums)?;
        let (left_size, right_size) = (self.size(left)?, self.size(right)?);
        let fits = left_size.0 == rows
            && right_size == (left_size.1 / 4, bytes)
            && sums != left
            && sums != right
            && left != right;
        if !fits {
            return None;
        }
        let number = |row: &[u8; ROW], i: usize| {
            flushed(bf16::from_le_bytes([row[2 * i], row[2 * i + 1]]).to_f32())
        };
        for m in 0..rows {
            for n in 0..bytes / 4 {
                let place = 4 * n..4 * n + 4;
                let mut halves = [0f32; 2];
                for k in 0..right_size.0 {
                    for (i, half) in halves.iter_mut().enumerate() {
                        let left = number(&self.data[left][m], 2 * k + i);
                        let right = number(&self.data[right][k], 2 * n + i);
                        *half = flushed(left.mul_add(right, *half));
                    }
                }
                let bytes = &mut self.data[sums][m][place];
                let old = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                let sum = flushed(flushed(old) + flushed(halves[0] + halves[1]));
                bytes.copy_from_slice(&sum.to_le_bytes());
            }
        }
        Some(())
    }
}

/// Numbers too small for the normal format are zero to these instructions.
fn flushed(x: f32) -> f32 {
    if x.is_subnormal() { 0.0 } else { x }
}
