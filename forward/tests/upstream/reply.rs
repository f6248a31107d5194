//! Queries as a double reads them, and the answers that it makes of them.

/// The option of cookies.
pub const COOKIE: u16 = 10;
/// The option of a client's subnet.
pub const SUBNET: u16 = 8;
/// The option of padding.
pub const PADDING: u16 = 12;

/// What honest doubles answer.
pub const HONEST: [u8; 4] = [192, 0, 2, 1];
/// What forged answers say.
pub const FORGED: [u8; 4] = [203, 0, 113, 66];

/// A length as messages have it.
fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap().to_be_bytes()
}

/// The first bytes of a message as TCP has it, with the length of the whole.
pub fn framed(message: &[u8], bytes: usize) -> Vec<u8> {
    [&length(message.len()), &message[..bytes]].concat()
}

/// A query that came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Over TCP, TLS or HTTPS.
    pub over_tcp: bool,
    /// How many queries the connection has had with this one; 0 over UDP.
    pub on_connection: usize,
    /// The whole message.
    pub message: Vec<u8>,
}

impl Asked {
    /// The id.
    pub fn id(&self) -> u16 {
        u16::from_be_bytes([self.message[0], self.message[1]])
    }

    /// Where the question ends.
    fn question_end(&self) -> usize {
        let mut at = 12;
        while self.message[at] != 0 {
            at += 1 + usize::from(self.message[at]);
        }
        at + 5
    }

    /// Name, type and class.
    pub fn question(&self) -> &[u8] {
        &self.message[12..self.question_end()]
    }

    /// The name in wire form.
    pub fn name(&self) -> &[u8] {
        let question = self.question();
        &question[..question.len() - 4]
    }

    /// The type.
    pub fn qtype(&self) -> u16 {
        let question = self.question();
        u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]])
    }

    /// The OPT record, of which nothing is before the additional section in a query.
    pub fn opt(&self) -> Option<&[u8]> {
        Some(&self.message[self.question_end()..]).filter(|opt| !opt.is_empty())
    }

    /// An option's data.
    pub fn option(&self, wanted: u16) -> Option<Vec<u8>> {
        let mut rest = self.opt()?.get(11..)?;
        while let [code_high, code_low, length_high, length_low, data @ ..] = rest {
            let (data, behind) = data.split_at(usize::from(u16::from_be_bytes([*length_high, *length_low])));
            if u16::from_be_bytes([*code_high, *code_low]) == wanted {
                return Some(data.to_vec());
            }
            rest = behind;
        }
        None
    }

    /// An honest answer.
    pub fn reply(&self) -> Reply {
        Reply {
            id: self.id(),
            flags: [0x81, 0x80],
            rcode: 0,
            question: self.question().to_vec(),
            addresses: vec![HONEST],
            options: self.opt().map(|_| Vec::new()),
            behind: Vec::new(),
        }
    }
}

/// An answer in the making.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The id.
    pub id: u16,
    /// The flags, without the response code.
    pub flags: [u8; 2],
    /// The response code, with its upper bits.
    pub rcode: u16,
    /// The question.
    pub question: Vec<u8>,
    /// A records of the name.
    pub addresses: Vec<[u8; 4]>,
    /// The options of OPT; nothing: no OPT.
    pub options: Option<Vec<(u16, Vec<u8>)>>,
    /// Bytes behind all that.
    pub behind: Vec<u8>,
}

impl Reply {
    /// With other addresses.
    pub fn with(mut self, addresses: &[[u8; 4]]) -> Self {
        self.addresses = addresses.to_vec();
        self
    }

    /// With an option.
    pub fn option(mut self, code: u16, data: &[u8]) -> Self {
        self.options.get_or_insert_default().push((code, data.to_vec()));
        self
    }

    /// With a response code.
    pub fn rcode(mut self, rcode: u16) -> Self {
        self.rcode = rcode;
        self.addresses.clear();
        self
    }

    /// Truncated.
    pub fn truncated(mut self) -> Self {
        self.flags[0] |= 0x02;
        self.addresses.clear();
        self
    }

    /// With the question in lower case.
    pub fn lower_case(mut self) -> Self {
        let name = self.question.len() - 4;
        self.question[..name].make_ascii_lowercase();
        self
    }

    /// The message.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend([self.flags[0], self.flags[1] | self.rcode.to_be_bytes()[1] & 0x0f]);
        let questions = u8::from(!self.question.is_empty());
        bytes.extend([0, questions]);
        bytes.extend(length(self.addresses.len()));
        bytes.extend([0, 0, 0, u8::from(self.options.is_some())]);
        bytes.extend(&self.question);
        for address in &self.addresses {
            bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            bytes.extend(address);
        }
        if let Some(options) = &self.options {
            bytes.extend([0, 0, 41, 4, 208, (self.rcode << 4).to_be_bytes()[0], 0, 0, 0]);
            let data: Vec<u8> = options
                .iter()
                .flat_map(|(code, data)| [&code.to_be_bytes(), &length(data.len()), data.as_slice()].concat())
                .collect();
            bytes.extend(length(data.len()));
            bytes.extend(data);
        }
        bytes.extend(&self.behind);
        bytes
    }
}
